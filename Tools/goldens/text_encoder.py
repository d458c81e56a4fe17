"""Goldens of the UMT5 text encoder: a full row and a padded one, long enough for every bucket."""

import torch
from transformers import UMT5Config, UMT5EncoderModel

from common import GOLDENS, Taps, generator, randomize, report, write

SEED = 41
LENGTH, SHORT = 150, 97
CONFIGURATION = dict(vocab_size=64, d_model=24, d_kv=8, d_ff=40, num_layers=2, num_heads=4)


def main():
    random = generator(SEED)
    config = UMT5Config(**CONFIGURATION)
    model = randomize(UMT5EncoderModel._from_config(config, attn_implementation="eager"), random, gain=1.0)

    ids = torch.randint(3, config.vocab_size, (2, LENGTH), generator=random, dtype=torch.int64)
    mask = torch.ones_like(ids)
    ids[0, -1] = ids[1, SHORT - 1] = config.eos_token_id
    ids[1, SHORT:] = config.pad_token_id
    mask[1, SHORT:] = 0

    stack = model.encoder
    modules = {"blocks.0.attention": stack.block[0].layer[0].SelfAttention.o}
    modules |= {f"blocks.{index}": block for index, block in enumerate(stack.block)}
    with Taps("tap.", modules) as seen:
        hidden = model(ids, mask).last_hidden_state
    # What the transformer is given: rows past a prompt's own length are zero.
    prompt = hidden * mask[..., None]

    distances = torch.arange(-LENGTH, LENGTH + 1)
    buckets = stack.block[0].layer[0].SelfAttention._relative_position_bucket(distances)
    tensors = {
        "input_ids": ids,
        "attention_mask": mask,
        "hidden_states": hidden,
        "prompt_embeds": prompt,
        "bucket.distances": distances,
        "bucket.indices": buckets,
        **seen.tensors(),
    }
    report(tensors)

    folder = GOLDENS / "text-encoder"
    folder.mkdir(parents=True, exist_ok=True)
    config.architectures = ["UMT5EncoderModel"]
    config.dtype = "float32"
    config.to_json_file(folder / "config.json")
    # The published files hold the embedding once, as `shared.weight`.
    weights = {
        key: value for key, value in model.state_dict().items() if key != "encoder.embed_tokens.weight"
    }
    write(folder / "model.safetensors", weights, SEED, format="pt")
    write(folder / "io.safetensors", tensors, SEED)

    again = UMT5EncoderModel.from_pretrained(folder, attn_implementation="eager")
    if not torch.equal(again(ids, mask).last_hidden_state, hidden):
        raise SystemExit("text-encoder: the written model gives another result")


if __name__ == "__main__":
    main()
