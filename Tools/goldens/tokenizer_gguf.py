"""The tokenizer of tokenizer.py as llama.cpp writes it into the header of a GGUF file.

    python -m pip install gguf==0.19.0 sentencepiece protobuf
"""

from pathlib import Path

from gguf import GGUFWriter
from sentencepiece import sentencepiece_model_pb2

FIXTURES = Path(__file__).resolve().parents[2] / "Tests" / "KinoModelsTests" / "Fixtures"


def main():
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString((FIXTURES / "tokenizer.model").read_bytes())
    path = FIXTURES / "tokenizer.gguf"
    writer = GGUFWriter(path, "t5encoder")
    writer.add_tokenizer_model("t5")
    writer.add_token_list([piece.piece for piece in model.pieces])
    writer.add_token_scores([piece.score for piece in model.pieces])
    writer.add_token_types([piece.type for piece in model.pieces])
    writer.add_add_space_prefix(model.normalizer_spec.add_dummy_prefix)
    writer.add_remove_extra_whitespaces(model.normalizer_spec.remove_extra_whitespaces)
    writer.add_precompiled_charsmap(model.normalizer_spec.precompiled_charsmap)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    path.chmod(0o644)
    print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
