"""The door to the Hugging Face hub: what a repo holds, and its small files. No weights.

huggingface_hub asks and names the errors; the order of tokens, the waiting, and the words for each
refusal are ours. Weights are fetched by lifecycle/transfer: the library starts a file over when its
process ended, and checks no sha256 (huggingface_hub 2.4.0).

`repo` is plain values and costs nothing to import; `client` brings the library along (0.7 s).
"""
