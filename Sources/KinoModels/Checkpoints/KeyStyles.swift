public import KinoWeights

/// The names that publishers give to the parameters of each network, against ours, which are those of
/// diffusers and transformers.
public enum KeyStyles {
  /// The transformer in the files of the Wan repositories; ComfyUI and GGUF files have the same names.
  public static let transformer = KeyRules(
    [
      ("patch_embedding", "patch_embedding"),
      ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
      ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
      ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
      ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
      ("time_projection.1", "condition_embedder.time_proj"),
      ("img_emb.proj.0", "condition_embedder.image_embedder.norm1"),
      ("img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"),
      ("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
      ("img_emb.proj.4", "condition_embedder.image_embedder.norm2"),
      ("img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"),
      ("head.head", "proj_out"),
      ("head.modulation", "scale_shift_table"),
      ("blocks.*.modulation", "blocks.*.scale_shift_table"),
      // The third of three norms there comes second; the second has no parameters.
      ("blocks.*.norm3", "blocks.*.norm2"),
      ("blocks.*.ffn.0", "blocks.*.ffn.net.0.proj"),
      ("blocks.*.ffn.2", "blocks.*.ffn.net.2"),
      ("blocks.*.cross_attn.k_img", "blocks.*.attn2.add_k_proj"),
      ("blocks.*.cross_attn.v_img", "blocks.*.attn2.add_v_proj"),
      ("blocks.*.cross_attn.norm_k_img", "blocks.*.attn2.norm_added_k"),
    ]
      + [("self_attn", "attn1"), ("cross_attn", "attn2")].flatMap { theirs, ours in
        [
          ("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("o", "to_out.0"), ("norm_q", "norm_q"),
          ("norm_k", "norm_k"),
        ].map { ("blocks.*.\(theirs).\($0)", "blocks.*.\(ours).\($1)") }
      })

  /// The autoencoder of 2.1 in the Wan repository, where the blocks of all levels stand in one row.
  public static let autoencoder = KeyRules(
    autoencoderEnds
      + residual("encoder.downsamples.*", "encoder.down_blocks.*")
      + resampling("encoder.downsamples.*", "encoder.down_blocks.*")
      + (0..<4).flatMap { level in
        (0..<3).flatMap { block in
          residual(
            "decoder.upsamples.\(level * 4 + block)", "decoder.up_blocks.\(level).resnets.\(block)")
        }
          + resampling(
            "decoder.upsamples.\(level * 4 + 3)", "decoder.up_blocks.\(level).upsamplers.0")
      })

  /// The autoencoder of 2.2 in the Wan repository, where levels hold their blocks.
  public static let residualAutoencoder = KeyRules(
    autoencoderEnds
      + residual("encoder.downsamples.*.downsamples.*", "encoder.down_blocks.*.resnets.*")
      + resampling("encoder.downsamples.*.downsamples.2", "encoder.down_blocks.*.downsampler")
      + residual("decoder.upsamples.*.upsamples.*", "decoder.up_blocks.*.resnets.*")
      + resampling("decoder.upsamples.*.upsamples.3", "decoder.up_blocks.*.upsampler"))

  private static let autoencoderEnds: [(String, String)] =
    [("conv1", "quant_conv"), ("conv2", "post_quant_conv")]
    + ["encoder", "decoder"].flatMap { half in
      [
        ("\(half).conv1", "\(half).conv_in"), ("\(half).head.0", "\(half).norm_out"),
        ("\(half).head.2", "\(half).conv_out"),
        ("\(half).middle.1", "\(half).mid_block.attentions.0"),
      ]
        + residual("\(half).middle.0", "\(half).mid_block.resnets.0")
        + residual("\(half).middle.2", "\(half).mid_block.resnets.1")
    }

  private static func residual(_ theirs: String, _ ours: String) -> [(String, String)] {
    [
      ("\(theirs).residual.0", "\(ours).norm1"), ("\(theirs).residual.2", "\(ours).conv1"),
      ("\(theirs).residual.3", "\(ours).norm2"), ("\(theirs).residual.6", "\(ours).conv2"),
      ("\(theirs).shortcut", "\(ours).conv_shortcut"),
    ]
  }

  private static func resampling(_ theirs: String, _ ours: String) -> [(String, String)] {
    [
      ("\(theirs).resample", "\(ours).resample"), ("\(theirs).time_conv", "\(ours).time_conv"),
    ]
  }

  /// The text encoder in the Wan repository.
  public static let textEncoder = KeyRules(
    [
      ("token_embedding", "shared"), ("norm", "encoder.final_layer_norm"),
      (
        "blocks.*.pos_embedding.embedding",
        "encoder.block.*.layer.0.SelfAttention.relative_attention_bias"
      ),
      ("blocks.*.norm1", "encoder.block.*.layer.0.layer_norm"),
      ("blocks.*.norm2", "encoder.block.*.layer.1.layer_norm"),
      ("blocks.*.ffn.gate.0", "encoder.block.*.layer.1.DenseReluDense.wi_0"),
      ("blocks.*.ffn.fc1", "encoder.block.*.layer.1.DenseReluDense.wi_1"),
      ("blocks.*.ffn.fc2", "encoder.block.*.layer.1.DenseReluDense.wo"),
    ]
      + ["q", "k", "v", "o"].map {
        ("blocks.*.attn.\($0)", "encoder.block.*.layer.0.SelfAttention.\($0)")
      })

  /// The text encoder in GGUF files, as llama.cpp names it.
  public static let ggufTextEncoder = KeyRules(
    [
      ("token_embd", "shared"), ("enc.output_norm", "encoder.final_layer_norm"),
      ("enc.blk.*.attn_q", "encoder.block.*.layer.0.SelfAttention.q"),
      ("enc.blk.*.attn_k", "encoder.block.*.layer.0.SelfAttention.k"),
      ("enc.blk.*.attn_v", "encoder.block.*.layer.0.SelfAttention.v"),
      ("enc.blk.*.attn_o", "encoder.block.*.layer.0.SelfAttention.o"),
      ("enc.blk.*.attn_rel_b", "encoder.block.*.layer.0.SelfAttention.relative_attention_bias"),
      ("enc.blk.*.attn_norm", "encoder.block.*.layer.0.layer_norm"),
      ("enc.blk.*.ffn_gate", "encoder.block.*.layer.1.DenseReluDense.wi_0"),
      ("enc.blk.*.ffn_up", "encoder.block.*.layer.1.DenseReluDense.wi_1"),
      ("enc.blk.*.ffn_down", "encoder.block.*.layer.1.DenseReluDense.wo"),
      ("enc.blk.*.ffn_norm", "encoder.block.*.layer.1.layer_norm"),
    ])

  /// The image encoder in the Wan repository, an OpenCLIP model; its joined queries, keys and values are
  /// split first, as `attn.q`, `attn.k` and `attn.v`.
  public static let imageEncoder = KeyRules([
    ("visual.patch_embedding", "vision_model.embeddings.patch_embedding"),
    ("visual.cls_embedding", "vision_model.embeddings.class_embedding"),
    ("visual.pos_embedding", "vision_model.embeddings.position_embedding.weight"),
    ("visual.pre_norm", "vision_model.pre_layrnorm"),
    ("visual.post_norm", "vision_model.post_layernorm"),
    ("visual.transformer.*.norm1", "vision_model.encoder.layers.*.layer_norm1"),
    ("visual.transformer.*.norm2", "vision_model.encoder.layers.*.layer_norm2"),
    ("visual.transformer.*.attn.q", "vision_model.encoder.layers.*.self_attn.q_proj"),
    ("visual.transformer.*.attn.k", "vision_model.encoder.layers.*.self_attn.k_proj"),
    ("visual.transformer.*.attn.v", "vision_model.encoder.layers.*.self_attn.v_proj"),
    ("visual.transformer.*.attn.proj", "vision_model.encoder.layers.*.self_attn.out_proj"),
    ("visual.transformer.*.mlp.0", "vision_model.encoder.layers.*.mlp.fc1"),
    ("visual.transformer.*.mlp.2", "vision_model.encoder.layers.*.mlp.fc2"),
  ])
}
