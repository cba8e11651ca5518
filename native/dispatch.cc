// Finds operators in libtorch's dispatcher and calls them boxed; autograd, seeds and threads.
#include "engine.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

#include <sstream>

namespace nlora {

namespace {

std::string signature(Call& call, const Operator& op) {
  std::string out = op.name + "(";
  bool first = true;
  for (size_t i = 0; i < op.arguments.size(); ++i) {
    const Kind kind = op.arguments[i].kind;
    const bool tensors = kind == Kind::Tensor || kind == Kind::TensorList || kind == Kind::OptionalTensorList;
    const std::string text = describe_argument(call.env, call.engine, call.at(i + 1), tensors);
    if (text.empty()) continue;
    if (!first) out += ", ";
    out += text;
    first = false;
  }
  return out + ")";
}

// lookup(name, overload) -> id. The id is what call() takes.
napi_value lookup(Call& call) {
  const std::string name = to_string(call.env, call.at(0));
  const std::string overload = to_string(call.env, call.at(1));
  const auto found = c10::Dispatcher::singleton().findSchema({name, overload});
  const std::string full = overload.empty() ? name : name + "." + overload;
  if (!found.has_value()) throw ArgumentError("this libtorch has no operator " + full);
  Operator op(*found);
  op.name = full;
  const auto& schema = op.handle.schema();
  for (const auto& argument : schema.arguments()) op.arguments.push_back(plan_argument(argument));
  if (schema.returns().size() == 1 && schema.returns()[0].alias_info() != nullptr) {
    op.returns_self = schema.returns()[0].alias_info()->isWrite();
  }
  call.engine.operators.push_back(std::move(op));
  return from_uint(call.env, static_cast<uint32_t>(call.engine.operators.size() - 1));
}

// call(id, ...arguments in schema order); undefined stands for the schema's default.
napi_value call_operator(Call& call) {
  const auto id = to_int(call.env, call.at(0), "operator id");
  if (id < 0 || static_cast<size_t>(id) >= call.engine.operators.size()) throw ArgumentError("unknown operator id");
  const Operator& op = call.engine.operators[static_cast<size_t>(id)];
  try {
    torch::jit::Stack stack;
    stack.reserve(op.arguments.size());
    for (size_t i = 0; i < op.arguments.size(); ++i) {
      stack.push_back(to_ivalue(call.env, call.engine, op.arguments[i], call.at(i + 1)));
    }
    op.handle.callBoxed(&stack);
    if (op.returns_self || stack.empty()) return undefined_value(call.env);
    if (stack.size() == 1) return from_ivalue(call.env, call.engine, stack[0]);
    napi_value array;
    check(napi_create_array_with_length(call.env, stack.size(), &array));
    for (size_t i = 0; i < stack.size(); ++i) {
      check(napi_set_element(call.env, array, static_cast<uint32_t>(i), from_ivalue(call.env, call.engine, stack[i])));
    }
    return array;
  } catch (const c10::Error& error) {
    throw ArgumentError(signature(call, op) + ": " + error.what_without_backtrace());
  } catch (const PendingException&) {
    throw;
  } catch (const std::exception& error) {
    throw ArgumentError(signature(call, op) + ": " + error.what());
  }
}

// schemas(prefix) -> every operator schema whose text starts with the prefix.
napi_value schemas(Call& call) {
  const std::string prefix = to_string(call.env, call.at(0));
  napi_value array;
  check(napi_create_array(call.env, &array));
  uint32_t count = 0;
  for (const auto& name : c10::Dispatcher::singleton().getAllOpNames()) {
    if (name.name.compare(0, prefix.size(), prefix) != 0) continue;
    const auto op = c10::Dispatcher::singleton().findSchema(name);
    if (!op.has_value()) continue;
    std::ostringstream text;
    text << op->schema();
    check(napi_set_element(call.env, array, count++, from_string(call.env, text.str())));
  }
  return array;
}

// backward(loss, retainGraph, gradient); the gradient is one unless given
napi_value backward(Call& call) {
  const at::Tensor& loss = call.engine.get(to_handle(call.env, call.at(0), "loss"));
  const bool retain = !is_nullish(call.env, call.at(1)) && to_bool(call.env, call.at(1), "retainGraph");
  if (!loss.requires_grad()) {
    throw ArgumentError("backward: the loss depends on nothing that is trained; check which parameters require gradients");
  }
  torch::autograd::variable_list gradients;
  if (!is_nullish(call.env, call.at(2))) {
    const at::Tensor& gradient = call.engine.get(to_handle(call.env, call.at(2), "gradient"));
    if (gradient.sizes() != loss.sizes()) throw ArgumentError("backward: the gradient has another shape than the tensor");
    gradients.push_back(gradient);
  }
  torch::autograd::backward({loss}, gradients, retain, false);
  return undefined_value(call.env);
}

// grad(outputs, inputs, retainGraph) -> gradients, null where an output does not depend on an input.
napi_value grad(Call& call) {
  torch::autograd::variable_list outputs, inputs;
  for (Handle h : to_handles(call.env, call.at(0), "outputs")) outputs.push_back(call.engine.get(h));
  for (Handle h : to_handles(call.env, call.at(1), "inputs")) inputs.push_back(call.engine.get(h));
  const bool retain = !is_nullish(call.env, call.at(2)) && to_bool(call.env, call.at(2), "retainGraph");
  const auto results = torch::autograd::grad(outputs, inputs, {}, retain, false, true);
  napi_value array;
  check(napi_create_array_with_length(call.env, results.size(), &array));
  for (size_t i = 0; i < results.size(); ++i) {
    napi_value value = results[i].defined() ? from_handle(call.env, call.engine.add(results[i])) : null_value(call.env);
    check(napi_set_element(call.env, array, static_cast<uint32_t>(i), value));
  }
  return array;
}

napi_value set_requires_grad(Call& call) {
  const bool flag = to_bool(call.env, call.at(1), "requiresGrad");
  call.engine.get(to_handle(call.env, call.at(0), "tensor")).set_requires_grad(flag);
  return undefined_value(call.env);
}

napi_value requires_grad(Call& call) {
  return from_bool(call.env, call.engine.get(to_handle(call.env, call.at(0), "tensor")).requires_grad());
}

// gradient(tensor) -> handle or null
napi_value gradient(Call& call) {
  const at::Tensor& tensor = call.engine.get(to_handle(call.env, call.at(0), "tensor"));
  const at::Tensor& result = tensor.grad();
  return result.defined() ? from_handle(call.env, call.engine.add(result)) : null_value(call.env);
}

// setGradient(tensor, gradient or null)
napi_value set_gradient(Call& call) {
  const at::Tensor& tensor = call.engine.get(to_handle(call.env, call.at(0), "tensor"));
  if (is_nullish(call.env, call.at(1))) {
    tensor.mutable_grad() = at::Tensor();
  } else {
    const at::Tensor& value = call.engine.get(to_handle(call.env, call.at(1), "gradient"));
    if (value.sizes() != tensor.sizes()) throw ArgumentError("setGradient: the gradient has another shape than the tensor");
    tensor.mutable_grad() = value;
  }
  return undefined_value(call.env);
}

// setGradMode(flag) -> the mode before
napi_value set_grad_mode(Call& call) {
  const bool before = at::GradMode::is_enabled();
  at::GradMode::set_enabled(to_bool(call.env, call.at(0), "gradMode"));
  return from_bool(call.env, before);
}

napi_value grad_mode(Call& call) { return from_bool(call.env, at::GradMode::is_enabled()); }

napi_value manual_seed(Call& call) {
  at::manual_seed(static_cast<uint64_t>(to_int(call.env, call.at(0), "seed")));
  return undefined_value(call.env);
}

napi_value set_threads(Call& call) {
  const int64_t count = to_int(call.env, call.at(0), "threads");
  if (count < 1 || count > 1024) throw ArgumentError("threads: expected 1 to 1024, found " + std::to_string(count));
  at::set_num_threads(static_cast<int>(count));
  return undefined_value(call.env);
}

napi_value threads(Call& call) { return from_double(call.env, at::get_num_threads()); }

}  // namespace

const std::vector<Export>& dispatch_exports() {
  static const std::vector<Export> list = {
      {"lookup", lookup},
      {"call", call_operator},
      {"schemas", schemas},
      {"backward", backward},
      {"grad", grad},
      {"setRequiresGrad", set_requires_grad},
      {"requiresGrad", requires_grad},
      {"gradient", gradient},
      {"setGradient", set_gradient},
      {"setGradMode", set_grad_mode},
      {"gradMode", grad_mode},
      {"manualSeed", manual_seed},
      {"setThreads", set_threads},
      {"threads", threads},
  };
  return list;
}

}  // namespace nlora
