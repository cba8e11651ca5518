// The handle table and its scopes.
#include "engine.h"

namespace nlora {

uint32_t Engine::add(at::Tensor tensor) {
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
  const uint32_t handle = slot.generation << kIndexBits | index;
  if (!scopes_.empty()) scopes_.back().push_back(handle);
  return handle;
}

bool Engine::is_live(uint32_t handle) const {
  const uint32_t index = handle & kIndexMask;
  return index < slots_.size() && slots_[index].live && slots_[index].generation == handle >> kIndexBits;
}

Slot& Engine::slot_of(uint32_t handle) {
  if (!is_live(handle)) {
    throw ArgumentError("a released tensor was used; keep it with keep(), or return it from the scope that made it");
  }
  return slots_[handle & kIndexMask];
}

const at::Tensor& Engine::get(uint32_t handle) const { return const_cast<Engine*>(this)->slot_of(handle).tensor; }

void Engine::release(uint32_t handle) {
  if (!is_live(handle)) return;
  Slot& slot = slots_[handle & kIndexMask];
  slot.live = false;
  slot.generation = (slot.generation + 1) & kGenerationMask;
  --live_;
  free_.push_back(handle & kIndexMask);
  // Last: dropping the tensor may run arbitrary destructors.
  at::Tensor dropped = std::move(slot.tensor);
  slot.tensor = at::Tensor();
}

void Engine::keep(uint32_t handle) { slot_of(handle).kept = true; }

void Engine::begin_scope() { scopes_.emplace_back(); }

void Engine::end_scope(const std::vector<uint32_t>& survivors) {
  if (scopes_.empty()) throw ArgumentError("a scope was closed that was never opened");
  std::vector<uint32_t> made = std::move(scopes_.back());
  scopes_.pop_back();
  for (uint32_t handle : survivors) {
    if (is_live(handle)) slots_[handle & kIndexMask].marked = true;
  }
  for (uint32_t handle : made) {
    if (!is_live(handle)) continue;
    Slot& slot = slots_[handle & kIndexMask];
    if (slot.kept) continue;
    if (slot.marked) {
      if (!scopes_.empty()) scopes_.back().push_back(handle);
      continue;
    }
    release(handle);
  }
  for (uint32_t handle : survivors) {
    if (is_live(handle)) slots_[handle & kIndexMask].marked = false;
  }
}

}  // namespace nlora
