// JavaScript values <-> libtorch values, led by the operator's schema.
#include "engine.h"

#include <cmath>
#include <sstream>

namespace nlora {

namespace {

napi_valuetype type_of(napi_env env, napi_value value) {
  napi_valuetype type;
  check(napi_typeof(env, value, &type));
  return type;
}

const char* type_name(napi_valuetype type) {
  switch (type) {
    case napi_undefined: return "undefined";
    case napi_null: return "null";
    case napi_boolean: return "a boolean";
    case napi_number: return "a number";
    case napi_string: return "a string";
    case napi_bigint: return "a bigint";
    case napi_function: return "a function";
    default: return "an object";
  }
}

[[noreturn]] void wrong(napi_env env, napi_value value, const char* what, const char* expected) {
  throw ArgumentError(std::string(what) + ": expected " + expected + ", found " + type_name(type_of(env, value)));
}

bool is_array(napi_env env, napi_value value) {
  bool result = false;
  check(napi_is_array(env, value, &result));
  return result;
}

template <typename Convert>
auto map_array(napi_env env, napi_value value, const char* what, const char* expected, Convert convert) {
  if (!is_array(env, value)) wrong(env, value, what, expected);
  uint32_t length = 0;
  check(napi_get_array_length(env, value, &length));
  std::vector<decltype(convert(value))> out;
  out.reserve(length);
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element;
    check(napi_get_element(env, value, i, &element));
    out.push_back(convert(element));
  }
  return out;
}

Kind kind_of(const c10::TypePtr& type) {
  switch (type->kind()) {
    case c10::TypeKind::TensorType: return Kind::Tensor;
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType: return Kind::Int;
    case c10::TypeKind::FloatType: return Kind::Float;
    case c10::TypeKind::BoolType: return Kind::Bool;
    case c10::TypeKind::NumberType: return Kind::Scalar;
    case c10::TypeKind::StringType: return Kind::String;
    case c10::TypeKind::DeviceObjType: return Kind::Device;
    case c10::TypeKind::ListType: {
      const auto element = type->cast<c10::ListType>()->getElementType();
      switch (element->kind()) {
        case c10::TypeKind::TensorType: return Kind::TensorList;
        case c10::TypeKind::IntType:
        case c10::TypeKind::SymIntType: return Kind::IntList;
        case c10::TypeKind::FloatType: return Kind::FloatList;
        case c10::TypeKind::BoolType: return Kind::BoolList;
        case c10::TypeKind::NumberType: return Kind::ScalarList;
        case c10::TypeKind::OptionalType:
          return element->cast<c10::OptionalType>()->getElementType()->kind() == c10::TypeKind::TensorType
                     ? Kind::OptionalTensorList
                     : Kind::Unsupported;
        default: return Kind::Unsupported;
      }
    }
    default: return Kind::Unsupported;
  }
}

at::Scalar to_scalar(napi_env env, napi_value value, const char* what) {
  switch (type_of(env, value)) {
    case napi_number: {
      double number;
      check(napi_get_value_double(env, value, &number));
      // JavaScript has no 1.0: a whole number becomes an integer scalar, as in Python.
      if (std::trunc(number) == number && std::abs(number) <= 9007199254740992.0) {
        return at::Scalar(static_cast<int64_t>(number));
      }
      return at::Scalar(number);
    }
    case napi_boolean: return at::Scalar(to_bool(env, value, what));
    case napi_bigint: return at::Scalar(to_int(env, value, what));
    default: wrong(env, value, what, "a number");
  }
}

}  // namespace

std::string to_string(napi_env env, napi_value value) {
  if (type_of(env, value) != napi_string) wrong(env, value, "argument", "a string");
  size_t length = 0;
  check(napi_get_value_string_utf8(env, value, nullptr, 0, &length));
  std::string text(length, '\0');
  check(napi_get_value_string_utf8(env, value, text.data(), length + 1, &length));
  return text;
}

double to_double(napi_env env, napi_value value, const char* what) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) wrong(env, value, what, "a number");
  return number;
}

int64_t to_int(napi_env env, napi_value value, const char* what) {
  const napi_valuetype type = type_of(env, value);
  if (type == napi_bigint) {
    int64_t result;
    bool lossless;
    check(napi_get_value_bigint_int64(env, value, &result, &lossless));
    if (!lossless) throw ArgumentError(std::string(what) + ": the bigint does not fit 64 bits");
    return result;
  }
  // dtypes are integers in schemas and names in JavaScript
  if (type == napi_string) return static_cast<int64_t>(dtype_from_name(to_string(env, value)));
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) wrong(env, value, what, "a whole number");
  if (!(std::trunc(number) == number) || std::abs(number) > 9007199254740992.0) {
    throw ArgumentError(std::string(what) + ": expected a whole number, found " + std::to_string(number));
  }
  return static_cast<int64_t>(number);
}

bool to_bool(napi_env env, napi_value value, const char* what) {
  bool result;
  if (napi_get_value_bool(env, value, &result) != napi_ok) wrong(env, value, what, "a boolean");
  return result;
}

Handle to_handle(napi_env env, napi_value value, const char* what) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) wrong(env, value, what, "a tensor");
  if (!(number >= 0 && number <= 9007199254740991.0)) throw ArgumentError(std::string(what) + ": not a tensor handle");
  return static_cast<Handle>(number);
}

std::vector<int64_t> to_ints(napi_env env, napi_value value, const char* what) {
  return map_array(env, value, what, "an array of whole numbers",
                   [&](napi_value element) { return to_int(env, element, what); });
}

std::vector<Handle> to_handles(napi_env env, napi_value value, const char* what) {
  return map_array(env, value, what, "an array of tensors",
                   [&](napi_value element) { return to_handle(env, element, what); });
}

bool is_nullish(napi_env env, napi_value value) {
  const napi_valuetype type = type_of(env, value);
  return type == napi_undefined || type == napi_null;
}

napi_value from_string(napi_env env, const std::string& text) {
  napi_value value;
  check(napi_create_string_utf8(env, text.data(), text.size(), &value));
  return value;
}

napi_value from_double(napi_env env, double number) {
  napi_value value;
  check(napi_create_double(env, number, &value));
  return value;
}

napi_value from_bool(napi_env env, bool flag) {
  napi_value value;
  check(napi_get_boolean(env, flag, &value));
  return value;
}

napi_value from_uint(napi_env env, uint32_t number) {
  napi_value value;
  check(napi_create_uint32(env, number, &value));
  return value;
}

napi_value from_handle(napi_env env, Handle handle) { return from_double(env, static_cast<double>(handle)); }

napi_value null_value(napi_env env) {
  napi_value value;
  check(napi_get_null(env, &value));
  return value;
}

napi_value undefined_value(napi_env env) {
  napi_value value;
  check(napi_get_undefined(env, &value));
  return value;
}

napi_value from_ints(napi_env env, at::IntArrayRef values) {
  napi_value array;
  check(napi_create_array_with_length(env, values.size(), &array));
  for (size_t i = 0; i < values.size(); ++i) {
    check(napi_set_element(env, array, static_cast<uint32_t>(i), from_double(env, static_cast<double>(values[i]))));
  }
  return array;
}

at::ScalarType dtype_from_name(const std::string& name) {
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float16") return at::kHalf;
  if (name == "float64") return at::kDouble;
  if (name == "int64") return at::kLong;
  if (name == "int32") return at::kInt;
  if (name == "uint8") return at::kByte;
  if (name == "bool") return at::kBool;
  throw ArgumentError("unknown dtype \"" + name +
                      "\"; known are float32, bfloat16, float16, float64, int64, int32, uint8, bool");
}

const char* dtype_name(at::ScalarType type) {
  switch (type) {
    case at::kFloat: return "float32";
    case at::kBFloat16: return "bfloat16";
    case at::kHalf: return "float16";
    case at::kDouble: return "float64";
    case at::kLong: return "int64";
    case at::kInt: return "int32";
    case at::kByte: return "uint8";
    case at::kBool: return "bool";
    default: return c10::toString(type);
  }
}

ArgumentPlan plan_argument(const c10::Argument& argument) {
  ArgumentPlan plan;
  plan.name = argument.name();
  c10::TypePtr type = argument.type();
  if (type->kind() == c10::TypeKind::OptionalType) {
    plan.optional = true;
    type = type->cast<c10::OptionalType>()->getElementType();
  }
  plan.kind = kind_of(type);
  if (argument.default_value().has_value()) {
    plan.has_default = true;
    plan.default_value = *argument.default_value();
  }
  return plan;
}

c10::IValue to_ivalue(napi_env env, Engine& engine, const ArgumentPlan& plan, napi_value value) {
  const char* what = plan.name.c_str();
  if (is_nullish(env, value)) {
    if (type_of(env, value) == napi_undefined && plan.has_default) return plan.default_value;
    if (plan.optional) return c10::IValue();
    if (plan.has_default) return plan.default_value;
    throw ArgumentError(plan.name + ": a value is required");
  }
  const auto tensor = [&](napi_value element) { return engine.get(to_handle(env, element, what)); };
  switch (plan.kind) {
    case Kind::Tensor: return tensor(value);
    case Kind::TensorList: {
      c10::List<at::Tensor> list;
      for (auto& t : map_array(env, value, what, "an array of tensors", tensor)) list.push_back(t);
      return list;
    }
    case Kind::OptionalTensorList: {
      c10::List<c10::optional<at::Tensor>> list;
      map_array(env, value, what, "an array of tensors or nulls", [&](napi_value element) {
        if (is_nullish(env, element)) list.push_back(c10::nullopt);
        else list.push_back(c10::optional<at::Tensor>(tensor(element)));
        return 0;
      });
      return list;
    }
    case Kind::Int: return to_int(env, value, what);
    case Kind::IntList: {
      if (type_of(env, value) == napi_number) return c10::List<int64_t>({to_int(env, value, what)});
      c10::List<int64_t> list;
      for (int64_t number : to_ints(env, value, what)) list.push_back(number);
      return list;
    }
    case Kind::Float: return to_double(env, value, what);
    case Kind::FloatList: {
      c10::List<double> list;
      for (double number : map_array(env, value, what, "an array of numbers",
                                     [&](napi_value element) { return to_double(env, element, what); })) {
        list.push_back(number);
      }
      return list;
    }
    case Kind::Bool: return to_bool(env, value, what);
    case Kind::BoolList: {
      c10::List<bool> list;
      map_array(env, value, what, "an array of booleans", [&](napi_value element) {
        list.push_back(to_bool(env, element, what));
        return 0;
      });
      return list;
    }
    case Kind::Scalar: return c10::IValue(to_scalar(env, value, what));
    case Kind::ScalarList: {
      c10::List<at::Scalar> list;
      map_array(env, value, what, "an array of numbers", [&](napi_value element) {
        list.push_back(to_scalar(env, element, what));
        return 0;
      });
      return list;
    }
    case Kind::String: return to_string(env, value);
    case Kind::Device: return c10::IValue(c10::Device(to_string(env, value)));
    case Kind::Unsupported: break;
  }
  throw ArgumentError(plan.name + ": this kind of argument cannot be given from JavaScript");
}

napi_value from_ivalue(napi_env env, Engine& engine, const c10::IValue& value) {
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    return tensor.defined() ? from_handle(env, engine.add(tensor)) : null_value(env);
  }
  if (value.isNone()) return null_value(env);
  if (value.isBool()) return from_bool(env, value.toBool());
  if (value.isInt()) return from_double(env, static_cast<double>(value.toInt()));
  if (value.isDouble()) return from_double(env, value.toDouble());
  if (value.isString()) return from_string(env, value.toStringRef());
  if (value.isScalar()) return from_double(env, value.toScalar().toDouble());
  if (value.isTensorList() || value.isTuple() || value.isList()) {
    std::vector<c10::IValue> elements;
    if (value.isTuple()) {
      const auto& tuple = value.toTupleRef().elements();
      elements.assign(tuple.begin(), tuple.end());
    } else {
      const auto list = value.toListRef();
      elements.assign(list.begin(), list.end());
    }
    napi_value array;
    check(napi_create_array_with_length(env, elements.size(), &array));
    for (size_t i = 0; i < elements.size(); ++i) {
      check(napi_set_element(env, array, static_cast<uint32_t>(i), from_ivalue(env, engine, elements[i])));
    }
    return array;
  }
  throw ArgumentError("the operator returned a value that JavaScript cannot hold");
}

// Only used in error messages, so it never throws.
std::string describe_argument(napi_env env, Engine& engine, napi_value value, bool tensors) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok) return "?";
  if (type == napi_undefined) return "";
  if (type == napi_number) {
    double number = 0;
    napi_get_value_double(env, value, &number);
    const auto handle = static_cast<Handle>(number >= 0 ? number : 0);
    if (tensors && static_cast<double>(handle) == number && engine.is_live(handle) && engine.get(handle).defined()) {
      const at::Tensor& tensor = engine.get(handle);
      std::ostringstream out;
      out << dtype_name(tensor.scalar_type()) << tensor.sizes();
      return out.str();
    }
    std::ostringstream out;
    out << number;
    return out.str();
  }
  bool array = false;
  if (napi_is_array(env, value, &array) == napi_ok && array) {
    uint32_t length = 0;
    napi_get_array_length(env, value, &length);
    std::string out = "[";
    for (uint32_t i = 0; i < length && i < 4; ++i) {
      napi_value element;
      if (napi_get_element(env, value, i, &element) != napi_ok) break;
      out += (i ? ", " : "") + describe_argument(env, engine, element, tensors);
    }
    return out + (length > 4 ? ", …]" : "]");
  }
  return type_name(type);
}

}  // namespace nlora
