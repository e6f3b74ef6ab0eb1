package door

import (
	"encoding/json"
	"net/http"
	"net/url"
)

// listModels answers for all backends: what each serves, whether it answers just now or not.
func (d *door) listModels(answer *reply, req *http.Request, name string) {
	if req.Method != http.MethodGet {
		answer.rw.Header().Set("Allow", http.MethodGet)
		answer.refuse(wrongMethod)
		return
	}
	// OpenAI's client writes the slash in a name as %2F. It is looked up in a list, and goes nowhere.
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	list := []map[string]interface{}{}
	for _, model := range d.config.Models {
		if model.ID == name {
			answer.sendJSON(d.card(model))
			return
		}
		list = append(list, d.card(model))
	}
	if name != "" {
		answer.refuse(unknownModel(name))
		return
	}
	answer.sendJSON(map[string]interface{}{"object": "list", "data": list})
}

// card is what vLLM says of a model, but for what is of the server's machine: a root that is a path.
func (d *door) card(model Model) map[string]interface{} {
	card := map[string]interface{}{
		"id": model.ID, "object": "model", "created": d.made, "owned_by": "vllm",
		"root": model.ID, "parent": nil, "max_model_len": nil,
	}
	if model.MaxLength > 0 {
		card["max_model_len"] = model.MaxLength
	}
	return card
}

func (r *reply) sendJSON(body interface{}) {
	text, _ := json.Marshal(body)
	r.send(http.StatusOK, "application/json", text)
}
