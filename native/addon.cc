// Entry point: exports every function and turns C++ exceptions into JavaScript errors.
#include "engine.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#if __has_include(<torch/headeronly/version.h>)
#include <torch/headeronly/version.h>
#elif __has_include(<torch/csrc/api/include/torch/version.h>)
#include <torch/csrc/api/include/torch/version.h>
#endif

namespace nlora {

namespace {

void throw_error(napi_env env, const std::string& message) {
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) return;
  napi_throw_error(env, "ERR_NLORA_ENGINE", message.c_str());
}

napi_value invoke(napi_env env, napi_callback_info info) {
  size_t count = kMaxArguments;
  napi_value arguments[kMaxArguments];
  void* function = nullptr;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, &function) != napi_ok) return nullptr;
  void* data = nullptr;
  if (napi_get_instance_data(env, &data) != napi_ok || data == nullptr) {
    throw_error(env, "the engine of this thread is gone");
    return nullptr;
  }
  Call call{env, *static_cast<Engine*>(data), count < kMaxArguments ? count : kMaxArguments, arguments};
  try {
    return reinterpret_cast<Function>(function)(call);
  } catch (const PendingException&) {
    return nullptr;
  } catch (const c10::Error& error) {
    throw_error(env, error.what_without_backtrace());
  } catch (const std::exception& error) {
    throw_error(env, error.what());
  } catch (...) {
    throw_error(env, "unknown native error");
  }
  return nullptr;
}

napi_value system_info(Call& call) {
  napi_value object;
  check(napi_create_object(call.env, &object));
  const auto set = [&](const char* name, napi_value value) {
    check(napi_set_named_property(call.env, object, name, value));
  };
#ifdef TORCH_VERSION
  set("version", from_string(call.env, TORCH_VERSION));
#else
  set("version", from_string(call.env, "unknown"));
#endif
  set("config", from_string(call.env, at::show_config()));
  set("parallel", from_string(call.env, at::get_parallel_info()));
  set("threads", from_double(call.env, at::get_num_threads()));
  set("lapack", from_bool(call.env, at::hasLAPACK()));
  set("mkl", from_bool(call.env, at::hasMKL()));
  set("mkldnn", from_bool(call.env, at::hasMKLDNN()));
  set("cuda", from_bool(call.env, at::hasCUDA()));
  set("cudaDevices", from_double(call.env, at::hasCUDA() ? at::detail::getCUDAHooks().getNumGPUs() : 0));
#if __has_include(<torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>) && __has_include(<gloo/algorithm.h>)
  set("glooHeaders", from_bool(call.env, true));
#else
  set("glooHeaders", from_bool(call.env, false));
#endif
  return object;
}

}  // namespace

const std::vector<Export>& system_exports() {
  static const std::vector<Export> list = {{"systemInfo", system_info}};
  return list;
}

// What one training step frees the next one asks for again. glibc would hand it to the system in between and fault every
// page in anew, so it is told to keep up to 1 GiB of freed memory and to map apart only blocks above 32 MiB (its maximum).
void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

napi_value initialise(napi_env env, napi_value exports) {
  keep_freed_memory();
  auto* engine = new Engine();
  if (napi_set_instance_data(env, engine, [](napi_env, void* data, void*) { delete static_cast<Engine*>(data); },
                             nullptr) != napi_ok) {
    delete engine;
    return nullptr;
  }
  for (const auto* list : {&dispatch_exports(), &tensor_exports(), &system_exports()}) {
    for (const Export& entry : *list) {
      napi_value function;
      if (napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, invoke, reinterpret_cast<void*>(entry.function),
                               &function) != napi_ok ||
          napi_set_named_property(env, exports, entry.name, function) != napi_ok) {
        return nullptr;
      }
    }
  }
  return exports;
}

}  // namespace nlora

NAPI_MODULE_INIT() { return nlora::initialise(env, exports); }
