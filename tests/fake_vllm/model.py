"""The tiny model: rules that answer a handful of questions, and a story for everything else."""

import random
import re
from dataclasses import dataclass

from tests.fake_vllm import tokenizer

CAPITALS = {
    "france": "Paris",
    "germany": "Berlin",
    "italy": "Rome",
    "spain": "Madrid",
    "japan": "Tokyo",
    "england": "London",
    "russia": "Moscow",
}
STORY_WORDS = [
    *("sea", "ship", "storm", "light", "harbour", "sailor", "night", "wave", "island", "wind"),
    *("star", "shore", "old", "deep", "far", "quiet", "silver", "song", "bird", "morning"),
]
STORY_LENGTH = 160
# The chat template of the recorded model: what a message costs beside its text.
MESSAGE_TOKENS = 5
ANSWER_TOKENS = 4
DEFAULT_SYSTEM_TOKENS = 21
WRONG = "Bananas are best eaten on the moon."
STUCK = "!" * 64
TEMPLATE = "<|im_end|>\n<|im_start|>user\n"
COPY_BEGINS = 24
"""Characters at the end of a prompt that must have stood before for the rest to be copied."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str
    text: str


def prompt_tokens(messages: list[Message]) -> int:
    """Return how many tokens the conversation has once the chat template is around it."""
    total = ANSWER_TOKENS + sum(MESSAGE_TOKENS + tokenizer.count(m.text) for m in messages)
    if not any(message.role == "system" for message in messages):
        total += DEFAULT_SYSTEM_TOKENS
    return total


def answer(messages: list[Message], dice: random.Random | None) -> str:
    """Return the answer to a conversation; without dice it is always the same one."""
    system = " ".join(m.text for m in messages if m.role == "system")
    asked = messages[-1].text
    earlier = [message.text for message in messages[:-1]]
    known = _known(asked, system, earlier)
    text = _in_other_words(known, dice) if known else story(asked, dice)
    return text.upper() if "capital letters" in system else text


def complete(prompt: str, dice: random.Random | None) -> str:
    """Return how a text goes on."""
    if copied := _copied(prompt):
        return copied
    land = re.search(r"capital of (\w+) is\s*$", prompt, re.IGNORECASE)
    if land and land[1].lower() in CAPITALS:
        return f" {CAPITALS[land[1].lower()]}."
    return " " + story(prompt, dice)


def garbage(topic: str) -> str:
    """Return what a model writes whose weights are noise."""
    letters = random.Random(topic)
    signs = "abcdefghijklmnopqrstuvwxyz中дא"
    words = ("".join(letters.choices(signs, k=5)) for _ in range(STORY_LENGTH))
    return " " + " ".join(words)


def _copied(prompt: str) -> str:
    """Return how a text goes on that stands in the prompt a second time, as models copy."""
    before = prompt.find(prompt[-COPY_BEGINS:])
    end = before + COPY_BEGINS
    return prompt[end:] if len(prompt) > COPY_BEGINS and end < len(prompt) else ""


def story(topic: str, dice: random.Random | None) -> str:
    """Return a long text that depends on the topic and, where there are dice, on them."""
    choose = dice or random.Random(topic)
    words = [choose.choice(STORY_WORDS) for _ in range(STORY_LENGTH)]
    return "Once there was a " + " ".join(words) + "."


def _known(asked: str, system: str, earlier: list[str]) -> str:
    """Return the answer to a question the rules know, or nothing."""
    if asked == "Repeat that." and earlier:
        return earlier[-1]
    return _known_fact(asked, earlier) or _known_task(asked) or _told(asked, system, earlier)


def _known_fact(asked: str, earlier: list[str]) -> str:
    question = asked.lower()
    if land := re.search(r"capital of (\w+)", question):
        return _capital(land[1])
    if (land := re.search(r"and of (\w+)", question)) and "capital of" in " ".join(earlier):
        return _capital(land[1])
    return ""


def _known_task(asked: str) -> str:
    if numbers := re.search(r"count from (\d+) to (\d+)", asked.lower()):
        return ", ".join(str(n) for n in range(int(numbers[1]), int(numbers[2]) + 1)) + "."
    if said := re.search(r"repeat after me: (.+)", asked, re.IGNORECASE | re.DOTALL):
        return said[1]
    return ""


def _told(asked: str, system: str, earlier: list[str]) -> str:
    """Return what the conversation itself has told."""
    question = asked.lower()
    if "what is my name" in question:
        return _recalled(r"(?i:my name is) (\w+)", earlier, "Your name is {}.")
    if "secret word" in question:
        return _recalled(r"(?i:secret word is) (\w+)", [system], "The secret word is {}.")
    if "your name" in question or "who are you" in question:
        introduced = r"(?i:named|your name is|you are) ([A-Z]\w+)"
        return _recalled(introduced, [system], "My name is {}.")
    return ""


def _capital(land: str) -> str:
    city = CAPITALS.get(land)
    return f"The capital of {land.title()} is {city}." if city else "I do not know that country."


def _recalled(pattern: str, texts: list[str], sentence: str) -> str:
    for text in reversed(texts):
        if found := re.search(pattern, text):
            return sentence.format(found[1])
    return "I do not know."


def _in_other_words(text: str, dice: random.Random | None) -> str:
    if dice is None:
        return text
    return dice.choice(("", "Well. ", "Sure! ", "Let me think. ", "I know: ")) + text
