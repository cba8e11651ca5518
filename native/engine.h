// Shared declarations of the addon: the handle table, scopes, and conversion between JavaScript and libtorch values.
// JavaScript never sees an object of libtorch, only small integers; a stale integer is an error, never a crash.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <node_api.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace nlora {

// A handle is generation << kIndexBits | index: a released handle never names the next tensor in its slot. It has 52
// bits, so that JavaScript holds it exactly.
using Handle = uint64_t;
constexpr uint32_t kIndexBits = 20;
constexpr uint32_t kIndexMask = (1u << kIndexBits) - 1;

struct Slot {
  at::Tensor tensor;
  uint32_t generation = 0;
  bool live = false;
  bool kept = false;    // survives every scope
  bool marked = false;  // used while a scope closes
};

// How one argument of an operator is converted, decided once from its schema.
enum class Kind {
  Tensor, TensorList, OptionalTensorList, Int, IntList, Float, FloatList, Bool, BoolList, Scalar, ScalarList,
  String, Device, Unsupported
};

struct ArgumentPlan {
  Kind kind = Kind::Unsupported;
  bool optional = false;
  bool has_default = false;
  c10::IValue default_value;
  std::string name;
};

struct Operator {
  explicit Operator(c10::OperatorHandle h) : handle(std::move(h)) {}
  c10::OperatorHandle handle;
  std::string name;  // as libtorch spells it, "aten::add.Tensor"
  std::vector<ArgumentPlan> arguments;
  bool returns_self = false;  // in-place: nothing new is handed back
};

// One per JavaScript environment (main thread or worker): nothing here is process-wide.
class Engine {
 public:
  Handle add(at::Tensor tensor);
  const at::Tensor& get(Handle handle) const;
  bool is_live(Handle handle) const;
  void release(Handle handle);
  void keep(Handle handle);
  void begin_scope();
  void end_scope(const std::vector<Handle>& survivors);
  size_t scope_depth() const { return scopes_.size(); }
  size_t live() const { return live_; }

  std::vector<Operator> operators;

 private:
  Slot& slot_of(Handle handle);
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<std::vector<Handle>> scopes_;
  size_t live_ = 0;
};

// Thrown when a JavaScript exception is already pending.
struct PendingException {};
// Thrown for wrong arguments; becomes a JavaScript TypeError-like Error with this text.
struct ArgumentError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void check(napi_status status) {
  if (status != napi_ok) throw ArgumentError("a Node-API call failed: an argument has the wrong type");
}

// Conversions (values.cc).
std::string to_string(napi_env env, napi_value value);
double to_double(napi_env env, napi_value value, const char* what);
int64_t to_int(napi_env env, napi_value value, const char* what);
bool to_bool(napi_env env, napi_value value, const char* what);
Handle to_handle(napi_env env, napi_value value, const char* what);
std::vector<int64_t> to_ints(napi_env env, napi_value value, const char* what);
std::vector<Handle> to_handles(napi_env env, napi_value value, const char* what);
bool is_nullish(napi_env env, napi_value value);
napi_value from_string(napi_env env, const std::string& text);
napi_value from_double(napi_env env, double value);
napi_value from_bool(napi_env env, bool value);
napi_value from_uint(napi_env env, uint32_t value);
napi_value from_handle(napi_env env, Handle handle);
napi_value null_value(napi_env env);
napi_value undefined_value(napi_env env);
napi_value from_ints(napi_env env, at::IntArrayRef values);
at::ScalarType dtype_from_name(const std::string& name);
const char* dtype_name(at::ScalarType type);
ArgumentPlan plan_argument(const c10::Argument& argument);
c10::IValue to_ivalue(napi_env env, Engine& engine, const ArgumentPlan& plan, napi_value value);
napi_value from_ivalue(napi_env env, Engine& engine, const c10::IValue& value);
std::string describe_argument(napi_env env, Engine& engine, napi_value value, bool tensors);

// Exported functions receive their arguments here; exceptions become JavaScript errors (addon.cc).
struct Call {
  napi_env env;
  Engine& engine;
  size_t count;
  napi_value* arguments;
  napi_value at(size_t index) const { return index < count ? arguments[index] : undefined_value(env); }
};
using Function = napi_value (*)(Call&);
constexpr size_t kMaxArguments = 32;

struct Export {
  const char* name;
  Function function;
};
const std::vector<Export>& dispatch_exports();
const std::vector<Export>& tensor_exports();
const std::vector<Export>& system_exports();

}  // namespace nlora
