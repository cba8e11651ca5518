// The handle table and its scopes.
#include "engine.h"

namespace nlora {

Handle Engine::add(at::Tensor tensor) {
  uint32_t index;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else {
    if (slots_.size() > kIndexMask) {
      throw ArgumentError("more than a million tensors are alive: something is not released; use tidy()");
    }
    index = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  }
  Slot& slot = slots_[index];
  slot.tensor = std::move(tensor);
  slot.live = true;
  slot.kept = false;
  slot.marked = false;
  ++live_;
  const Handle handle = static_cast<Handle>(slot.generation) << kIndexBits | index;
  if (!scopes_.empty()) scopes_.back().push_back(handle);
  return handle;
}

bool Engine::is_live(Handle handle) const {
  const auto index = static_cast<uint32_t>(handle & kIndexMask);
  return index < slots_.size() && slots_[index].live && slots_[index].generation == handle >> kIndexBits;
}

Slot& Engine::slot_of(Handle handle) {
  if (!is_live(handle)) {
    throw ArgumentError("a released tensor was used; keep it with keep(), or return it from the scope that made it");
  }
  return slots_[handle & kIndexMask];
}

const at::Tensor& Engine::get(Handle handle) const { return const_cast<Engine*>(this)->slot_of(handle).tensor; }

void Engine::release(Handle handle) {
  if (!is_live(handle)) return;
  Slot& slot = slots_[handle & kIndexMask];
  slot.live = false;
  ++slot.generation;
  --live_;
  free_.push_back(handle & kIndexMask);
  // Last: dropping the tensor may run arbitrary destructors.
  at::Tensor dropped = std::move(slot.tensor);
  slot.tensor = at::Tensor();
}

void Engine::keep(Handle handle) { slot_of(handle).kept = true; }

void Engine::begin_scope() { scopes_.emplace_back(); }

void Engine::end_scope(const std::vector<Handle>& survivors) {
  if (scopes_.empty()) throw ArgumentError("a scope was closed that was never opened");
  std::vector<Handle> made = std::move(scopes_.back());
  scopes_.pop_back();
  for (Handle handle : survivors) {
    if (is_live(handle)) slots_[handle & kIndexMask].marked = true;
  }
  for (Handle handle : made) {
    if (!is_live(handle)) continue;
    Slot& slot = slots_[handle & kIndexMask];
    if (slot.kept) continue;
    if (slot.marked) {
      if (!scopes_.empty()) scopes_.back().push_back(handle);
      continue;
    }
    release(handle);
  }
  for (Handle handle : survivors) {
    if (is_live(handle)) slots_[handle & kIndexMask].marked = false;
  }
}

}  // namespace nlora
