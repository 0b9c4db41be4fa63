// Cross-entropy and squared error.
#include "loss.hpp"

#include <cmath>

#include "vector_math.hpp"

namespace regimen {
namespace {

float weight_of(const Criterion& c, int64_t label) { return c.class_weights ? c.class_weights[label] : 1.0F; }

void cross_entropy_gradient(const Criterion& criterion, Plane z, int64_t rows, const Targets& targets, float* scratch) {
  const int64_t classes = criterion.classes;
  const float smooth = static_cast<float>(criterion.label_smoothing / static_cast<double>(classes));
  const float sharp = static_cast<float>(1.0 - criterion.label_smoothing);
  double all = 0.0, total = 0.0;
  for (int64_t c = 0; c < classes; ++c) all += weight_of(criterion, c);
  for (int64_t r = 0; r < rows; ++r) total += weight_of(criterion, targets.labels[0][r]);
  const float inverse = static_cast<float>(1.0 / total), spread = smooth * static_cast<float>(all);
  // scratch[r]: the sum of row r's targets, over the total weight; weight[r]: the row's own, mixed with its partner's.
  const float* const* weights = targets.weights;
  float* weight = scratch + z.columns;
  for (int64_t r = 0; r < z.columns; ++r) {
    float own = 0.0F;
    if (r < rows && weights[0]) {
      own = weights[0][r] * weight_of(criterion, targets.labels[0][r]);
      weight[r] = weights[0][r];
      if (targets.labels[1]) {
        const float other = weights[1][r] * weight_of(criterion, targets.labels[1][r]);
        own = targets.share * own + (1.0F - targets.share) * other;
        weight[r] = targets.share * weight[r] + (1.0F - targets.share) * weights[1][r];
      }
      own = (sharp * own + spread * weight[r]) * inverse;
    } else if (r < rows) {
      own = weight_of(criterion, targets.labels[0][r]);
      if (targets.labels[1]) {
        own = targets.share * own + (1.0F - targets.share) * weight_of(criterion, targets.labels[1][r]);
      }
      own = (sharp * own + spread) * inverse;
    }
    scratch[r] = own;
  }
  for (int64_t i = 0; i < z.columns; i += kLanes) {
    Vf highest = load(z.data + i);
    for (int64_t c = 1; c < classes; ++c) {
      const Vf x = load(z.data + c * z.leading + i);
      highest = x > highest ? x : highest;
    }
    Vf sum = splat(0.0F);
    for (int64_t c = 0; c < classes; ++c) {
      float* at = z.data + c * z.leading + i;
      const Vf e = exponential(load(at) - highest);
      store(at, e);
      sum += e;
    }
    const Vf scale = load(scratch + i) / sum;
    const Vi present = first_lanes(rows - i);
    for (int64_t c = 0; c < classes; ++c) {
      float* at = z.data + c * z.leading + i;
      const Vf even = splat(smooth * weight_of(criterion, c) * inverse);
      store(at, masked(present, load(at) * scale - (weights[0] ? even * load(weight + i) : even)));
    }
  }
  for (int set = 0; set < 2 && targets.labels[set]; ++set) {
    const float share = !targets.labels[1] ? 1.0F : set == 0 ? targets.share : 1.0F - targets.share;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t label = targets.labels[set][r];
      const float own = share * sharp * weight_of(criterion, label) * inverse;
      z.data[label * z.leading + r] -= weights[0] ? own * weights[set][r] : own;
    }
  }
}

void squared_error_gradient(Plane z, int64_t rows, const Targets& targets) {
  const float scale = 2.0F / static_cast<float>(rows);
  if (targets.weights[0]) {
    for (int64_t r = 0; r < z.columns; ++r) {
      float slope = 0.0F;
      if (r < rows) {
        slope = targets.weights[0][r] * (z.data[r] - targets.values[0][r]);
        if (targets.values[1]) {
          const float other = targets.weights[1][r] * (z.data[r] - targets.values[1][r]);
          slope = targets.share * slope + (1.0F - targets.share) * other;
        }
      }
      z.data[r] = slope * scale;
    }
    return;
  }
  for (int64_t r = 0; r < z.columns; ++r) {
    float target = 0.0F;
    if (r < rows) {
      target = targets.values[0][r];
      // share · (o - y) + (1 - share) · (o - y') = o - (share · y + (1 - share) · y')
      if (targets.values[1]) target = targets.share * target + (1.0F - targets.share) * targets.values[1][r];
    }
    z.data[r] = r < rows ? (z.data[r] - target) * scale : 0.0F;
  }
}

}  // namespace

void loss_gradient(const Criterion& criterion, Plane outputs, int64_t rows, const Targets& targets, float* scratch) {
  if (criterion.squared_error) return squared_error_gradient(outputs, rows, targets);
  cross_entropy_gradient(criterion, outputs, rows, targets, scratch);
}

void add_score(const Criterion& criterion, Plane z, int64_t rows, const int64_t* labels, const float* values,
               const float* weights, Score& score) {
  for (int64_t r = 0; weights && r < rows; ++r) score.weight += static_cast<double>(weights[r]);
  if (criterion.squared_error) {
    for (int64_t r = 0; r < rows; ++r) {
      const double d = static_cast<double>(z.data[r]) - static_cast<double>(values[r]);
      score.loss += weights ? static_cast<double>(weights[r]) * d * d : d * d;
    }
    return;
  }
  for (int64_t i = 0; i < rows; i += kLanes) {
    Vf highest = load(z.data + i);
    Vi best = splat(int32_t{0});
    for (int64_t c = 1; c < criterion.classes; ++c) {
      const Vf x = load(z.data + c * z.leading + i);
      const Vi better = x > highest;
      highest = better ? x : highest;
      best = better ? splat(static_cast<int32_t>(c)) : best;
    }
    // log p = (z_y - z_max) - log(1 + Σ of the others): exact to rounding also where p is nearly 1.
    Vf others = splat(0.0F);
    for (int64_t c = 0; c < criterion.classes; ++c) {
      const Vf e = exponential(load(z.data + c * z.leading + i) - highest);
      others += best == splat(static_cast<int32_t>(c)) ? splat(0.0F) : e;
    }
    const int64_t count = rows - i < kLanes ? rows - i : kLanes;
    for (int64_t lane = 0; lane < count; ++lane) {
      const int64_t label = labels[i + lane];
      const double own = z.data[label * z.leading + i + lane];
      const double loss = (static_cast<double>(highest[lane]) - own) + std::log1p(static_cast<double>(others[lane]));
      score.loss += weights ? static_cast<double>(weights[i + lane]) * loss : loss;
      score.correct += best[lane] == label;
    }
  }
}

}  // namespace regimen
