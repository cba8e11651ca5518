// Making, reading and releasing tensors; files mapped into memory.
#include "engine.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace nlora {

namespace {

// A private, writable mapping: reading shares pages with every other process, writing (an in-place operator)
// copies a page instead of faulting, and the file never changes.
struct Mapping {
  void* data = MAP_FAILED;
  size_t size = 0;
  ~Mapping() {
    if (data != MAP_FAILED) munmap(data, size);
  }
};

constexpr napi_type_tag kMappingTag = {0x6e6c6f72614d6170ULL, 0x66696c656d617031ULL};

void check_shape(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (int64_t size : shape) {
    if (size < 0) throw ArgumentError("a shape has a negative size");
    if (__builtin_mul_overflow(elements, size, &elements)) throw ArgumentError("a shape is too large");
  }
}

// fromBytes(typed array or ArrayBuffer, dtype, shape) -> handle; copies.
napi_value from_bytes(Call& call) {
  void* data = nullptr;
  size_t bytes = 0;
  bool typed = false;
  check(napi_is_typedarray(call.env, call.at(0), &typed));
  if (typed) {
    napi_typedarray_type type;
    size_t length, offset;
    check(napi_get_typedarray_info(call.env, call.at(0), &type, &length, &data, nullptr, &offset));
    static constexpr size_t kSizes[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
    if (static_cast<size_t>(type) >= sizeof(kSizes) / sizeof(size_t)) throw ArgumentError("unsupported typed array");
    bytes = length * kSizes[type];
  } else {
    bool buffer = false;
    check(napi_is_arraybuffer(call.env, call.at(0), &buffer));
    if (!buffer) throw ArgumentError("data: expected a typed array or an ArrayBuffer");
    check(napi_get_arraybuffer_info(call.env, call.at(0), &data, &bytes));
  }
  const at::ScalarType dtype = dtype_from_name(to_string(call.env, call.at(1)));
  const auto shape = to_ints(call.env, call.at(2), "shape");
  check_shape(shape);
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(dtype));
  if (tensor.nbytes() != bytes) {
    throw ArgumentError("data: the shape needs " + std::to_string(tensor.nbytes()) + " bytes, found " + std::to_string(bytes));
  }
  if (bytes > 0) std::memcpy(tensor.data_ptr(), data, bytes);
  return from_handle(call.env, call.engine.add(tensor));
}

// mapFile(path) -> an opaque mapping that tensors keep alive
napi_value map_file(Call& call) {
  const std::string path = to_string(call.env, call.at(0));
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw ArgumentError("cannot open " + path + ": " + std::strerror(errno));
  struct stat info{};
  auto mapping = std::make_shared<Mapping>();
  if (fstat(file, &info) == 0 && info.st_size > 0) {
    mapping->size = static_cast<size_t>(info.st_size);
    mapping->data = mmap(nullptr, mapping->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
  }
  const int error = errno;
  close(file);
  if (mapping->data == MAP_FAILED) {
    throw ArgumentError("cannot map " + path + ": " + (info.st_size == 0 ? "the file is empty" : std::strerror(error)));
  }
  auto* holder = new std::shared_ptr<Mapping>(std::move(mapping));
  napi_value external;
  const napi_status status = napi_create_external(
      call.env, holder, [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Mapping>*>(data); }, nullptr,
      &external);
  if (status != napi_ok) {
    delete holder;
    check(status);
  }
  check(napi_type_tag_object(call.env, external, &kMappingTag));
  return external;
}

// The argument that mapFile returned.
const std::shared_ptr<Mapping>& to_mapping(Call& call, napi_value value) {
  bool ours = false;
  napi_valuetype type;
  check(napi_typeof(call.env, value, &type));
  if (type == napi_external) check(napi_check_object_type_tag(call.env, value, &kMappingTag, &ours));
  if (!ours) throw ArgumentError("mapping: expected what mapFile returned");
  void* pointer = nullptr;
  check(napi_get_value_external(call.env, value, &pointer));
  return *static_cast<std::shared_ptr<Mapping>*>(pointer);
}

// mappedTensor(mapping, byteOffset, dtype, shape) -> handle; no copy unless the address is misaligned.
napi_value mapped_tensor(Call& call) {
  std::shared_ptr<Mapping> mapping = to_mapping(call, call.at(0));
  const int64_t offset = to_int(call.env, call.at(1), "byteOffset");
  const at::ScalarType dtype = dtype_from_name(to_string(call.env, call.at(2)));
  const auto shape = to_ints(call.env, call.at(3), "shape");
  check_shape(shape);
  const auto options = at::TensorOptions().dtype(dtype);
  const size_t element = at::elementSize(dtype);
  size_t bytes = element;
  for (int64_t size : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<size_t>(size), &bytes)) throw ArgumentError("a shape is too large");
  }
  if (offset < 0 || static_cast<size_t>(offset) > mapping->size || bytes > mapping->size - static_cast<size_t>(offset)) {
    throw ArgumentError("the tensor lies outside the file: bytes " + std::to_string(offset) + " to " +
                        std::to_string(static_cast<size_t>(offset) + bytes) + " of " + std::to_string(mapping->size));
  }
  auto* data = static_cast<char*>(mapping->data) + offset;
  at::Tensor tensor;
  if (reinterpret_cast<uintptr_t>(data) % element != 0) {
    tensor = at::empty(shape, options);
    std::memcpy(tensor.data_ptr(), data, bytes);
  } else {
    tensor = at::from_blob(data, shape, [mapping](void*) mutable { mapping.reset(); }, options);
  }
  return from_handle(call.env, call.engine.add(tensor));
}

// releasePages(mapping, begin, end): whole pages between two bytes leave memory; touched again, they come from the file.
napi_value release_pages(Call& call) {
  const std::shared_ptr<Mapping>& mapping = to_mapping(call, call.at(0));
  const int64_t begin = to_int(call.env, call.at(1), "begin"), end = to_int(call.env, call.at(2), "end");
  if (begin < 0 || end < begin || static_cast<size_t>(end) > mapping->size) {
    throw ArgumentError("releasePages: bytes " + std::to_string(begin) + " to " + std::to_string(end) + " of a file of " +
                        std::to_string(mapping->size));
  }
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t first = (begin + page - 1) / page * page, last = end / page * page;
  if (first < last && madvise(static_cast<char*>(mapping->data) + first, last - first, MADV_DONTNEED) != 0) {
    throw ArgumentError(std::string("releasePages: ") + std::strerror(errno));
  }
  return undefined_value(call.env);
}

// read(tensor) -> ArrayBuffer of the contiguous elements; bfloat16 and float16 are widened to float32.
napi_value read(Call& call) {
  at::Tensor tensor = call.engine.get(to_handle(call.env, call.at(0), "tensor")).detach();
  if (tensor.scalar_type() == at::kBFloat16 || tensor.scalar_type() == at::kHalf) tensor = tensor.to(at::kFloat);
  tensor = tensor.to(at::kCPU).contiguous();
  void* data = nullptr;
  napi_value buffer;
  if (napi_create_arraybuffer(call.env, tensor.nbytes(), &data, &buffer) != napi_ok) throw PendingException();
  if (tensor.nbytes() > 0) std::memcpy(data, tensor.data_ptr(), tensor.nbytes());
  return buffer;
}

// readBytes(tensor) -> ArrayBuffer of the elements as they are stored (bfloat16 stays two bytes)
napi_value read_bytes(Call& call) {
  const at::Tensor tensor =
      call.engine.get(to_handle(call.env, call.at(0), "tensor")).detach().to(at::kCPU).contiguous();
  void* data = nullptr;
  napi_value buffer;
  if (napi_create_arraybuffer(call.env, tensor.nbytes(), &data, &buffer) != napi_ok) throw PendingException();
  if (tensor.nbytes() > 0) std::memcpy(data, tensor.data_ptr(), tensor.nbytes());
  return buffer;
}

// item(tensor) -> number
napi_value item(Call& call) {
  const at::Tensor& tensor = call.engine.get(to_handle(call.env, call.at(0), "tensor"));
  if (tensor.numel() != 1) {
    throw ArgumentError("item: expected a tensor with one element, found " + std::to_string(tensor.numel()) + " elements");
  }
  return from_double(call.env, tensor.item().toDouble());
}

napi_value shape(Call& call) {
  return from_ints(call.env, call.engine.get(to_handle(call.env, call.at(0), "tensor")).sizes());
}

napi_value dtype(Call& call) {
  return from_string(call.env, dtype_name(call.engine.get(to_handle(call.env, call.at(0), "tensor")).scalar_type()));
}

napi_value device(Call& call) {
  return from_string(call.env, call.engine.get(to_handle(call.env, call.at(0), "tensor")).device().str());
}

// sameStorage(a, b): whether two tensors look at the same memory (views, mapped files)
napi_value same_storage(Call& call) {
  const at::Tensor& a = call.engine.get(to_handle(call.env, call.at(0), "tensor"));
  const at::Tensor& b = call.engine.get(to_handle(call.env, call.at(1), "tensor"));
  return from_bool(call.env, a.storage().data() == b.storage().data());
}

napi_value release(Call& call) {
  call.engine.release(to_handle(call.env, call.at(0), "tensor"));
  return undefined_value(call.env);
}

napi_value keep(Call& call) {
  call.engine.keep(to_handle(call.env, call.at(0), "tensor"));
  return undefined_value(call.env);
}

napi_value begin_scope(Call& call) {
  call.engine.begin_scope();
  return undefined_value(call.env);
}

napi_value end_scope(Call& call) {
  call.engine.end_scope(to_handles(call.env, call.at(0), "survivors"));
  return undefined_value(call.env);
}

napi_value is_live(Call& call) {
  return from_bool(call.env, call.engine.is_live(to_handle(call.env, call.at(0), "tensor")));
}

napi_value live_count(Call& call) { return from_double(call.env, static_cast<double>(call.engine.live())); }

}  // namespace

const std::vector<Export>& tensor_exports() {
  static const std::vector<Export> list = {
      {"fromBytes", from_bytes}, {"mapFile", map_file},     {"mappedTensor", mapped_tensor},
      {"releasePages", release_pages},
      {"read", read},            {"readBytes", read_bytes}, {"item", item},
      {"shape", shape},          {"dtype", dtype},          {"device", device},
      {"sameStorage", same_storage}, {"release", release},  {"keep", keep},
      {"beginScope", begin_scope},   {"endScope", end_scope}, {"isLive", is_live},
      {"liveCount", live_count},
  };
  return list;
}

}  // namespace nlora
