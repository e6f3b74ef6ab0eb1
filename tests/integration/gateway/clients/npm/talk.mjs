// What OpenAI's and Anthropic's clients for Node hear from one server: JSON on the standard output.
// usage: node talk.mjs ADDRESS KEY MODEL
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const [address, key, model] = process.argv.slice(2);
const messages = [{ role: "user", content: "Hello" }];
const openai = new OpenAI({ baseURL: `${address}/v1`, apiKey: key });
const anthropic = new Anthropic({ baseURL: address, authToken: key, apiKey: null });

const chat = await openai.chat.completions.create({ model, messages, max_tokens: 8, temperature: 0 });
let streamed = "";
for await (const piece of await openai.chat.completions.create({
  model, messages, max_tokens: 8, temperature: 0, stream: true,
})) streamed += piece.choices[0]?.delta.content ?? "";
const listed = (await openai.models.list()).data.map((one) => one.id);
const message = await anthropic.messages.create({ model, messages, max_tokens: 8, temperature: 0 });
const refused = await openai.chat.completions
  .create({ model: "nobodys", messages }).catch((error) => error.status);

console.log(JSON.stringify({
  chat: chat.choices[0].message.content, usage: chat.usage, streamed, listed,
  message: message.content[0].text, refused,
}));
