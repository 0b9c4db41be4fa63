// SGD, Adam, RMSprop and Adagrad as torch.optim computes them.
#include "optimizer.hpp"

#include <algorithm>
#include <cmath>

#include "simd.hpp"

namespace regimen {
namespace {

// What happens to gradient and weight around every rule, in the order of engine/reference.py.
struct Around {
  Vf l1, clip, shrink, l2, threshold;

  Vf finish(Vf w) const {
    const Vf beyond = absolute(w) - threshold;
    return sign_of(w, masked(beyond > splat(0.0F), beyond));
  }
};

template <bool kAround, class Rule>
void update_all(const Stretch& s, const Around given, bool proximal, const Rule given_rule) {
  // Copies that no store can alias, or they would be read again after each.
  const Around around = given;
  const Rule rule = given_rule;
  float* const parameters = s.parameters;
  const float* const gradient = s.gradient;
  float* const states[3] = {s.states[0], s.states[1], s.states[2]};
  const int64_t count = s.count;
  for (int64_t i = 0; i < count; i += kLanes) {
    Vf w = load(parameters + i), g = load(gradient + i);
    if constexpr (kAround) {
      // The L1 sign is that of the weight before decay; L2 takes the decayed weight.
      const Vf sign = masked(w > splat(0.0F), around.l1) - masked(w < splat(0.0F), around.l1);
      g = (g + sign) * around.clip;
      w = w * around.shrink;
      g += around.l2 * w;
    }
    w = rule.step(w, g, states, i);
    if constexpr (kAround) {
      if (proximal) w = around.finish(w);
    }
    store(parameters + i, w);
  }
}

struct SgdRule {
  Vf rate, momentum, fresh;
  bool has_momentum, nesterov;
  Vf step(Vf w, Vf g, float* const* states, int64_t i) const {
    if (has_momentum) {
      const Vf b = momentum * load(states[0] + i) + fresh * g;
      store(states[0] + i, b);
      g = nesterov ? g + momentum * b : b;
    }
    return w - rate * g;
  }
};

// Moments are kept as m / (1 - beta1) and v / (1 - beta2), and the rate divides root and epsilon: this loop is bound by
// arithmetic, and each constant folded away is a twentieth of it.
template <bool kMaximum>
struct AdamRule {
  Vf keep1, keep2, root_scale, epsilon;
  Vf step(Vf w, Vf g, float* const* states, int64_t i) const {
    const Vf m = keep1 * load(states[0] + i) + g;
    // 1e-36 keeps 0 from the estimate of the root: its own root is nothing beside epsilon.
    Vf v = keep2 * load(states[1] + i) + (g * g + splat(1e-36F));
    store(states[0] + i, m);
    store(states[1] + i, v);
    if constexpr (kMaximum) {
      const Vf most = load(states[2] + i);
      v = v > most ? v : most;
      store(states[2] + i, v);
    }
    // The estimates are of finite numbers; and where the square overflows, PyTorch divides by infinity.
    const Vf most = splat(3e38F), root = root_of(at_most(v, 3e38F));
    const Vf moved = w - m * reciprocal(at_most(root * root_scale + epsilon, 1e37F));
    return v > most ? w : moved;
  }
};

struct RmspropRule {
  Vf keep, fresh, epsilon, rate, momentum;
  bool centered, has_momentum;
  Vf step(Vf w, Vf g, float* const* states, int64_t i) const {
    const Vf v = keep * load(states[0] + i) + fresh * g * g;
    store(states[0] + i, v);
    Vf spread = v;
    if (centered) {
      Vf mean = load(states[1] + i);
      mean += fresh * (g - mean);
      store(states[1] + i, mean);
      spread = v - mean * mean;
    }
    Vf change = g / (square_root(spread) + epsilon);
    if (has_momentum) {
      change += momentum * load(states[2] + i);
      store(states[2] + i, change);
    }
    return w - rate * change;
  }
};

struct AdagradRule {
  Vf epsilon, rate;
  Vf step(Vf w, Vf g, float* const* states, int64_t i) const {
    const Vf sum = load(states[0] + i) + g * g;
    store(states[0] + i, sum);
    return w - rate * (g / (square_root(sum) + epsilon));
  }
};

Vf splat_of(double x) { return splat(static_cast<float>(x)); }

}  // namespace

int states_of(const RegimenUpdate& u) {
  switch (u.kind) {
    case REGIMEN_SGD: return u.momentum != 0.0 ? 1 : 0;
    case REGIMEN_ADAM: return u.amsgrad ? 3 : 2;
    case REGIMEN_RMSPROP: return u.momentum != 0.0 ? 3 : u.centered ? 2 : 1;
    default: return 1;
  }
}

float initial_state(const RegimenUpdate& u) {
  return u.kind == REGIMEN_ADAGRAD ? static_cast<float>(u.initial_accumulator) : 0.0F;
}

void Updater::begin(int64_t step, double rate) {
  step_ = step, rate_ = rate, clip_ = 1.0F;
  if (update_.kind != REGIMEN_ADAM) return;
  const double t = static_cast<double>(step + 1);
  correction1_ = 1.0 - std::pow(update_.beta1, t);
  correction2_ = 1.0 - std::pow(update_.beta2, t);
}

void Updater::clip(double squared_norm) {
  const double factor = update_.clip_norm / (std::sqrt(squared_norm) + 1e-6);
  clip_ = static_cast<float>(factor > 1.0 ? 1.0 : factor);
}

double Updater::prepare(const float* parameters, float* gradient, int64_t count, bool is_weight) const {
  const Vf l1 = splat_of(is_weight && !update_.l1_proximal ? update_.l1 : 0.0);
  double squares = 0.0;
  for (int64_t i = 0; i < count; i += kLanes) {
    const Vf w = load(parameters + i);
    const Vf g = load(gradient + i) + (masked(w > splat(0.0F), l1) - masked(w < splat(0.0F), l1));
    store(gradient + i, g);
    squares += static_cast<double>(sum_of_lanes(g * g));
  }
  return squares;
}

void Updater::apply(const Stretch& s) const {
  const RegimenUpdate& u = update_;
  const bool decays = s.is_weight || u.decay_all;
  const bool clips = u.clip_norm > 0.0;
  const double l1 = s.is_weight ? u.l1 : 0.0, l2 = decays ? u.weight_decay : 0.0;
  const double shrink = decays ? 1.0 - rate_ * u.decoupled_weight_decay : 1.0;
  const bool proximal = u.l1_proximal && l1 > 0.0;
  // With clipping, `prepare` has added the subgradient already.
  const Around around{splat_of(proximal || clips ? 0.0 : l1), splat(clip_), splat_of(shrink), splat_of(l2),
                      splat_of(rate_ * l1)};
  const bool plain = l1 == 0.0 && l2 == 0.0 && shrink == 1.0 && !clips;
  const auto run = [&](const auto& rule) {
    if (plain) return update_all<false>(s, around, proximal, rule);
    update_all<true>(s, around, proximal, rule);
  };
  switch (u.kind) {
    case REGIMEN_SGD: {
      const double fresh = step_ == 0 ? 1.0 : 1.0 - u.dampening;
      return run(SgdRule{splat_of(rate_), splat_of(u.momentum), splat_of(fresh), u.momentum != 0.0, u.nesterov != 0});
    }
    case REGIMEN_ADAM: {
      const Vf keep1 = splat_of(u.beta1), keep2 = splat_of(u.beta2);
      // A rate of 0 (the end of a cosine) would divide by it; 1e-20 moves no weight.
      const double rate = std::max(rate_ * (1.0 - u.beta1) / correction1_, 1e-20);
      const Vf scale = splat_of(std::sqrt((1.0 - u.beta2) / correction2_) / rate), epsilon = splat_of(u.epsilon / rate);
      if (u.amsgrad) return run(AdamRule<true>{keep1, keep2, scale, epsilon});
      return run(AdamRule<false>{keep1, keep2, scale, epsilon});
    }
    case REGIMEN_RMSPROP:
      return run(RmspropRule{splat_of(u.alpha), splat_of(1.0 - u.alpha), splat_of(u.epsilon), splat_of(rate_),
                             splat_of(u.momentum), u.centered != 0, u.momentum != 0.0});
    default:
      return run(AdagradRule{splat_of(u.epsilon), splat_of(rate_ / (1.0 + static_cast<double>(step_) * u.lr_decay))});
  }
}

void Updater::limit_norms(float* weights, int64_t rows, int64_t leading) const {
  if (!(update_.max_norm > 0.0)) return;
  const float radius = static_cast<float>(update_.max_norm);
  for (int64_t r = 0; r < rows; ++r) {
    float* row = weights + r * leading;
    Vf squares = splat(0.0F);
    for (int64_t i = 0; i < leading; i += kLanes) squares += load(row + i) * load(row + i);
    const float norm = std::sqrt(sum_of_lanes(squares));
    if (!(norm > radius)) continue;
    const Vf factor = splat(radius / norm);
    for (int64_t i = 0; i < leading; i += kLanes) store(row + i, load(row + i) * factor);
  }
}

}  // namespace regimen
