// The core of attention on float32 and bfloat16 tensors on the cpu, without autograd (attention.cc).
#pragma once

#include "common.h"

namespace nlora {

// What the operators have in common besides queries, keys and values.
struct AttentionSettings {
  int64_t heads = 1, key_heads = 1;  // query heads; heads of keys and values, each shared by heads / key_heads of them
  int64_t window = 0;                // causal: keys that a query sees, back from its own; 0: all keys, before and after
  OptionalTensor bias, mask;         // [.., heads, queries, keys]; [batch, keys] bool
  DropoutKey key;
};

// queries [batch, length, heads, width], keys [batch, length, key_heads * width], values [batch, length, key_heads * mixed],
// the last dimension dense. Returns [batch, queries, heads * mixed], and the probabilities where asked for.
Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionSettings& s, Tensor* probs);

// Writes the gradients of q, k and v, shaped like them, their last dimension dense.
void attend_backward(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionSettings& s, const Tensor& probs,
                     const Tensor& grad, const Tensor& gq, const Tensor& gk, const Tensor& gv);

// The operator itself, with autograd.
Tensor cross_attention(const Tensor& query, const Tensor& key, const Tensor& value, int64_t heads, const OptionalTensor& bias,
                       const OptionalTensor& mask, double p, int64_t seed);

}  // namespace nlora
