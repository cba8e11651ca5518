// The autograd node behind every fused operator, and the names and signatures of the operators.
#include "common.h"

#include <sstream>

namespace nlora {
namespace {

using torch::autograd::Edge;
using torch::autograd::Node;
using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

struct FusedBackward : Node {
  std::string label;
  std::vector<SavedVariable> saved;
  BackwardFunction backward;
  bool released = false;

  std::string name() const override { return label; }

  variable_list apply(variable_list&& grads) override {
    TORCH_CHECK(!at::GradMode::is_enabled(), label, ": gradients of gradients are not available (create_graph)");
    TORCH_CHECK(!released, label, ": backward ran twice through the same graph; keep it with retain_graph");
    std::vector<bool> wanted(num_outputs());
    for (size_t i = 0; i < wanted.size(); i++) wanted[i] = task_should_compute_output(i);
    if (!grads[0].defined()) return variable_list(wanted.size());
    Tensors tensors;
    for (const auto& s : saved) tensors.push_back(s.unpack());
    return backward(grads[0], tensors, wanted);
  }

  void release_variables() override {
    released = true;
    saved.clear();
    backward = nullptr;
  }
};

// Nodes are shared_ptr before 2.13 and intrusive_ptr from then on.
template <typename Pointer>
struct NodeMaker;
template <typename Other>
struct NodeMaker<std::shared_ptr<Other>> {
  static std::shared_ptr<FusedBackward> make() {
    return {new FusedBackward(), [](Other* node) { deleteNode(node); }};
  }
};
template <typename Other>
struct NodeMaker<c10::intrusive_ptr<Other>> {
  static c10::intrusive_ptr<FusedBackward> make() { return c10::make_intrusive<FusedBackward>(); }
};

}  // namespace

std::string describe(const Tensor& t) {
  if (!t.defined()) return "nothing";
  std::ostringstream text;
  text << c10::toString(t.scalar_type()) << " " << t.sizes();
  return text.str();
}

Tensor with_history(const char* name, Tensor output, const Tensors& inputs, const Tensors& saved, BackwardFunction backward) {
  auto node = NodeMaker<decltype(Edge::function)>::make();
  node->label = std::string("nlora::") + name;
  node->backward = std::move(backward);
  std::vector<Edge> edges;
  for (const auto& input : inputs) {
    edges.push_back(input.defined() && input.requires_grad() ? torch::autograd::impl::gradient_edge(input) : Edge());
  }
  node->set_next_edges(std::move(edges));
  for (const auto& tensor : saved) node->saved.emplace_back(tensor, false);
  torch::autograd::set_history(output, node);
  return output;
}

TORCH_LIBRARY(nlora, m) {
  m.def("dropout_keep(int n, float p, int seed) -> Tensor");
  m.def("dropout(Tensor x, float p, int seed) -> Tensor");
  m.def("dropout_add(Tensor x, Tensor residual, float p, int seed) -> Tensor");
  m.def("relu_dropout(Tensor x, float p, int seed) -> Tensor");
  m.def("gated_gelu_dropout(Tensor gate, Tensor value, float p, int seed) -> Tensor");
  m.def("silu_multiply(Tensor gate, Tensor value) -> Tensor");
  m.def("rotate(Tensor x, Tensor cos, Tensor sin, int heads, float scale) -> Tensor");
  m.def("rms_norm(Tensor x, Tensor weight, float eps) -> Tensor");
  m.def("self_attention(Tensor qkv, int heads, Tensor? bias, Tensor? mask, float p, int seed) -> Tensor");
  m.def(
      "cross_attention(Tensor query, Tensor key, Tensor value, int heads, Tensor? bias, Tensor? mask, float p, int seed) "
      "-> Tensor");
  m.def(
      "causal_attention(Tensor query, Tensor key, Tensor value, int heads, int key_heads, int window, Tensor? mask, float p, "
      "int seed) -> Tensor");
  m.def(
      "memory_attention(Tensor query, Tensor memory, Tensor key_weight, Tensor value_weight, Tensor? key_hidden, Tensor? key_up, "
      "Tensor? value_hidden, Tensor? value_up, int heads, Tensor? mask, float p, int seed) -> Tensor");
  m.def(
      "lora_linear(Tensor x, Tensor weight, Tensor? bias, Tensor[] a, Tensor[] b, int[] offset, float[] scale, "
      "int[] group, float p, int seed) -> Tensor");
  m.def("delta_l1(Tensor[] a, Tensor[] b, float[] coefficient) -> Tensor");
  m.def("delta_stats(Tensor a, Tensor b, float[] thresholds) -> (Tensor l1, Tensor counts)");
  m.def("collision_counts(Tensor[] a, Tensor[] b, float[] thresholds) -> (Tensor, Tensor)");
  m.def(
      "adamw_(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] exp_avg, Tensor(c!)[] exp_avg_sq, float lr, float beta1, "
      "float beta2, float eps, float weight_decay, int step, float grad_scale) -> ()");
  m.def("grad_norm(Tensor[] grads) -> Tensor");
  m.def("cross_entropy(Tensor logits, Tensor labels, int ignore_index) -> Tensor");
}

}  // namespace nlora
