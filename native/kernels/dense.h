// The large products of frozen linear layers. float32 goes to oneDNN where it can be reached, which on processors with
// AVX-512 is about twice as fast as the BLAS that libtorch calls; everything else is libtorch's own linear and mm.
#pragma once

#include "common.h"

namespace nlora {

// x [n, d_in] W^T + bias, W [d_out, d_in]; contiguous [n, d_out].
Tensor dense_forward(const Tensor& x, const Tensor& weight, const OptionalTensor& bias);

// g [n, d_out] W; contiguous [n, d_in].
Tensor dense_backward(const Tensor& g, const Tensor& weight);

}  // namespace nlora
