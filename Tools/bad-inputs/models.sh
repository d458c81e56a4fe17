# Rows of models as people have them on disk: parts in the wrong places, what downloads leave, adapters for other
# models. `run` reads this file.

transformer=$model/transformer/diffusion_pytorch_model.safetensors
autoencoder=$model/vae/diffusion_pytorch_model.safetensors
words=$model/text_encoder/model.safetensors

# safetensors FILE NAME SHAPE...: a file of float32 zeros; a shape is like 32x32.
safetensors() {
  python3 - "$@" <<'END'
import json, math, struct, sys
header, end = {}, 0
for name, shape in zip(sys.argv[2::2], sys.argv[3::2]):
    extents = [int(n) for n in shape.split("x")]
    start, end = end, end + 4 * math.prod(extents)
    header[name] = {"dtype": "F32", "shape": extents, "data_offsets": [start, end]}
text = json.dumps(header).encode()
open(sys.argv[1], "wb").write(struct.pack("<Q", len(text)) + text + bytes(end))
END
}

# gguf FILE TYPE: one tensor of 32 numbers of a type by its number.
gguf() {
  python3 - "$@" <<'END'
import struct, sys
name = b"blocks.0.self_attn.q.weight"
data = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", len(name)) + name
data += struct.pack("<IQIQ", 1, 32, int(sys.argv[2]), 0)
open(sys.argv[1], "wb").write(data + bytes(-len(data) % 32) + bytes(64))
END
}

# Files that lie alone: those beside them must not be found instead.
mkdir alone shards partly pickles
cp "$transformer" alone/transformer.safetensors
cp "$model/transformer/config.json" alone/
cp "$words" alone/words.safetensors
cp "$autoencoder" alone/autoencoder.safetensors
head -c 3000000 "$transformer" >partly/transformer.safetensors
cp "$transformer" partly/whole.safetensors.incomplete
printf '{"metadata": {}, "weight_map": {"a.weight": "model-00001-of-00002.safetensors"}}' >shards/model.safetensors.index.json
printf '{"weight_map": {"a.weight": "../../etc/passwd"}}' >shards/outside.safetensors.index.json
printf '{"weight_map": 7}' >shards/odd.safetensors.index.json
gguf type.gguf 39
gguf old.gguf 4
safetensors alien.safetensors transformer_blocks.0.attn.to_q.weight 64x64 single_blocks.0.linear1.weight 8x8
safetensors vace.safetensors vace_blocks.0.before_proj.weight 32x32 blocks.0.self_attn.q.weight 32x32
# Pairs of a network of another width.
lora=transformer.blocks.0.attn1.to_q
safetensors wide-lora.safetensors $lora.lora_A.weight 8x5120 $lora.lora_B.weight 5120x8
safetensors deep-lora.safetensors transformer.blocks.39.attn1.to_q.lora_A.weight 8x256 \
  transformer.blocks.39.attn1.to_q.lora_B.weight 256x8
safetensors half-lora.safetensors $lora.lora_A.weight 8x256
python3 - <<'END'
import io, pickle, zipfile
class Evil:
    def __reduce__(self): return (print, ("run",))
for name, what in [("evil", Evil()), ("list", [1, 2, 3])]:
    with zipfile.ZipFile(f"pickles/{name}.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(what))
        archive.writestr("archive/version", "3\n")
deep = b"\x80\x02" + b"]" * 200000 + b"a" * 199999 + b"."
with zipfile.ZipFile("pickles/deep.pth", "w") as archive:
    archive.writestr("archive/data.pkl", deep)
    archive.writestr("archive/version", "3\n")
END

g=(generate ball --steps 2 --size 32x32 --frames 5)
parts=(--model alone/transformer.safetensors --vae alone/autoencoder.safetensors --text-encoder alone/words.safetensors)
tokenizer=$model/tokenizer/spiece.model
try "${g[@]}" --model partly/transformer.safetensors
try "${g[@]}" --model partly/whole.safetensors.incomplete
try "${g[@]}" --model alone/autoencoder.safetensors
try "${g[@]}" --model alone/transformer.safetensors --vae alone/transformer.safetensors
try "${g[@]}" --model alone/transformer.safetensors --vae notes.txt
try "${g[@]}" --model alone/transformer.safetensors --vae alone/autoencoder.safetensors --text-encoder alone/autoencoder.safetensors
try "${g[@]}" "${parts[@]}" --tokenizer notes.txt
try "${g[@]}" "${parts[@]}" --tokenizer alone/words.safetensors
try "${g[@]}" "${parts[@]}" --tokenizer "$tokenizer" --low-noise alone/autoencoder.safetensors
try "${g[@]}" "${parts[@]}" --tokenizer "$tokenizer" --clip-vision alone/words.safetensors
try "${g[@]}" --model alien.safetensors
try "${g[@]}" --model vace.safetensors
try "${g[@]}" --model type.gguf
try "${g[@]}" --model old.gguf
try "${g[@]}" --model shards/model.safetensors.index.json
try "${g[@]}" --model shards/outside.safetensors.index.json
try "${g[@]}" --model shards/odd.safetensors.index.json
for file in pickles/*.pth; do try "${g[@]}" --model "$file"; done
for file in wide-lora deep-lora half-lora; do try "${g[@]}" --model "$model" --lora $file.safetensors; done
try "${g[@]}" --model "$model" --lora "$autoencoder"
try convert "$transformer" a.safetensors --precision q4_k
try convert "$transformer" a.gguf --lora wide-lora.safetensors
try models alone/transformer.safetensors
try models partly --verify
try models pickles --verify
try pull
try pull "no such repository"
try pull ../../etc
for address in http://127.0.0.1:9 nonsense; do
  row "HF_ENDPOINT=$address kino pull Wan-AI/Wan2.1-T2V-1.3B-Diffusers --yes" \
    env HF_ENDPOINT=$address "$kino" pull Wan-AI/Wan2.1-T2V-1.3B-Diffusers --yes
done
rm -rf alone partly
