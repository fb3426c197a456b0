// Attention on vectors of any width: what the kernels of all levels share, with the results of
// attn_f32_f32.h bit for bit.
//
// Queries go in sets of Isa::kSet. A step of 64 keys is used by all sets before the next one is
// read, so that only the first set waits for memory. A step of a set:
//   scores[query][64]   lane = key; sums over d in registers, a tile of queries x key vectors
//   softmax             lane = key; scores become weights p, and the running sums are scaled
//   out[query][d]      lane = d; sums over the keys in registers, a tile of queries x vectors of d
// Multiply-adds of a tile: queries x vectors for one load of each query's factor and one load (and
// conversion from f16) of each vector. A product is rounded once with its sum; the order of a sum
// is that of the specification for any tile, so that tiles are free.
//
// A quantised cache (attn_f32_q8r.h) has scores that are sums of integers, in tiles of queries x
// vectors of keys as well. Values of int8 are multiplied with the step's weights as integers,
// values of 4 bits with weights times scales. All of it is one loop over steps with the same
// softmax, which is why it is one long file.
//
// Template parameter Isa: a vector type of vector_math.h with a cache, one of those below, and
//   kSet              queries of a set
//   kPrefetch         whether to ask for keys and values ahead, which is for measurement to say
//   kSoftenPrefetch   of int8 values: bytes of the next keys to ask for beside the exponentials of
//                     each query, which is for measurement to say as well
//   tile_vectors(n)   vectors of a tile for n queries; over keys a divisor or multiple of a block
//   key_vectors(n), value_vectors(n)    of a quantised cache: the same for sums of integers
#pragma once

#include <cstdint>

#include "kernels/generic/attention/attn_range.h"
#include "kernels/kernel_types.h"
#include "kernels/vector_math.h"

namespace midge::attention {

/// Keys and values as f16.
template <typename Vectors>
struct CacheF16 : Vectors {
  static constexpr bool kQuantized = false;
  static constexpr bool kIntegerValues = false;
  static constexpr int kCacheBytes = 2;
  /// n vectors of the cache as f32.
  template <int n>
  static inline void load_cache(const uint8_t* p, typename Vectors::V* v) {
    Vectors::template load_f16<n>(p, v);
  }
  static inline float load_element(const uint8_t* p) { return Vectors::element_f16(p); }
};

/// As f32.
template <typename Vectors>
struct CacheF32 : Vectors {
  static constexpr bool kQuantized = false;
  static constexpr bool kIntegerValues = false;
  static constexpr int kCacheBytes = 4;
  template <int n>
  static inline void load_cache(const uint8_t* p, typename Vectors::V* v) {
    const auto* in = reinterpret_cast<const float*>(p);
#pragma GCC unroll 8
    for (int i = 0; i < n; ++i) v[i] = Vectors::load(in + i * Vectors::kWidth);
  }
  static inline float load_element(const uint8_t* p) { return *reinterpret_cast<const float*>(p); }
};

/// Int8 keys and values. Integers is how a level sums products of keys and queries:
///   Sums            the sums of a vector of keys; to_float(sums)
///   first_sum(s)    before the first product; s is the sum of the query
///   KeyVector       kKeyGroup dimensions of a vector of keys; load_keys(p)
///   QueryVector     kQueryGroups groups of a query; load_query(p), one group: load_group(p)
///   dot<i>(sums, keys, query)   adds the products with group i
/// and of weights and values:
///   ValueSums       the sums of a vector of dimensions; no_values(), values_to_float(sums)
///   PairVector      a vector of dimensions of two tokens; load_pairs<n>(p, pairs)
///   WeightVector    the weights of kWeightPairs pairs; load_weights(p), one pair: load_pair(p)
///   add_pair<i>(sums, pairs, weights)   adds the products with the weights of pair i
///   store_units(p, v)   a vector of floats, rounded to nearest even, as 16 bits
template <typename Vectors, typename Integers>
struct CacheQ8 : Vectors, Integers {
  static constexpr bool kQuantized = true;
  static constexpr bool kIntegerValues = true;
  static constexpr int64_t kScaleRun = INT64_MAX;  // values that share a scale
};

/// Int8 keys, values of 4 bits.
template <typename Vectors, typename Integers>
struct CacheK8V4 : Vectors, Integers {
  static constexpr bool kQuantized = true;
  static constexpr bool kIntegerValues = false;
  static constexpr int64_t kScaleRun = kValueBlock;
  static constexpr int kBits = 4;
  // Where element d lies: the byte, and how far up.
  static inline int64_t byte_of(int64_t d) {
    constexpr int64_t kBytes = kValueBlock / 2;
    return d / kValueBlock * kBytes + d % kBytes;
  }
  static inline int shift_of(int64_t d) { return d % kValueBlock < kValueBlock / 2 ? 0 : 4; }
  /// n: vectors of a whole block, or of a part of half of it.
  template <int n>
  static inline void load_values(const uint8_t* row, int64_t d, typename Vectors::V* v) {
    const uint8_t* bytes = row + byte_of(d);
    if constexpr (n * Vectors::kWidth == kValueBlock) {
      Vectors::template load_nibbles<n / 2>(bytes, 0, v);
      Vectors::template load_nibbles<n / 2>(bytes, 4, v + n / 2);
    } else {
      Vectors::template load_nibbles<n>(bytes, shift_of(d), v);
    }
  }
  static inline float load_value(const uint8_t* row, int64_t d) {
    return static_cast<float>((row[byte_of(d)] >> shift_of(d) & 15) - 8);
  }
};

template <typename Isa>
struct Kernel {
  using V = typename Isa::V;
  using Factors = typename Isa::Factors;

  static constexpr int64_t kWidth = Isa::kWidth;
  static constexpr int kBlockVectors = kKeyBlock / kWidth;

  // What is known of a query between steps.
  struct State {
    alignas(64) float totals[kKeyBlock];
    float maximum;
  };

  // Asks for the next kBytes at `*ahead`, if it is not null. The second cache level holds enough
  // requests to cover memory's latency, the first one does not.
  template <int64_t kBytes>
  MIDGE_INLINE void prefetch(const uint8_t** ahead) {
    if (!Isa::kPrefetch || *ahead == nullptr) return;
#pragma GCC unroll 16
    for (int64_t i = 0; i < kBytes; i += 64) __builtin_prefetch(*ahead + i, 0, 2);
    *ahead += kBytes;
  }

  // A set during a step.
  struct Set {
    const AttnArgs* args;
    const AttnQuery* queries;
    State* states;
    int64_t step;
    StepCache cache;                                 // of the step
    StepCache next;                                  // of the step after it, or nulls
    alignas(64) float scores[Isa::kSet][kAttnStep];  // then weights
    alignas(64) float scaled[Isa::kQuantized ? Isa::kSet : 1][kAttnStep];  // weights * scales
    alignas(64) int16_t units[Isa::kIntegerValues ? Isa::kSet : 1][kAttnStep];
    float factors[Isa::kSet];  // of the units
    KeyRange seen[Isa::kSet];
    bool is_first;         // of the call's sets, and so, but for a few steps, to meet a step first
    const uint8_t* ahead;  // what to prefetch next, or null
  };

  // sums[queries][vectors] += number i of factors(query) x vectors at `cache`, which lie `stride`
  // apart in groups of kGroup, by load<kGroup>(p, vectors). Keeps the fewer of the two in
  // registers.
  template <int kQueries, int kVectors, int kGroup, int i, typename Load, typename FactorsOf>
  MIDGE_INLINE void add_products(const uint8_t* cache, int64_t stride, const Load& load,
                                 const FactorsOf& factors_of, V (&sums)[kQueries][kVectors]) {
    if constexpr (kQueries < kVectors) {
      Factors factors[kQueries];
#pragma GCC unroll 16
      for (int j = 0; j < kQueries; ++j) factors[j] = factors_of(j);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; v += kGroup) {
        V vectors[kGroup];
        load.template operator()<kGroup>(cache + v / kGroup * stride, vectors);
#pragma GCC unroll 16
        for (int u = 0; u < kGroup; ++u) {
#pragma GCC unroll 16
          for (int j = 0; j < kQueries; ++j) {
            sums[j][v + u] = Isa::template multiply_add<i>(vectors[u], factors[j], sums[j][v + u]);
          }
        }
      }
    } else {
      V vectors[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; v += kGroup) {
        load.template operator()<kGroup>(cache + v / kGroup * stride, vectors + v);
      }
#pragma GCC unroll 16
      for (int j = 0; j < kQueries; ++j) {
        const Factors factors = factors_of(j);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) {
          sums[j][v] = Isa::template multiply_add<i>(vectors[v], factors, sums[j][v]);
        }
      }
    }
  }

  // sums[queries][vectors] += the sum over r = 0..rows - 1 of numbers(query)[r] times row r of the
  // cache, in order of r. Prefetches as many bytes as it reads, kRowBytes each, but for the last
  // rows % 4.
  template <int kQueries, int kVectors, int kGroup, int64_t kRowBytes, typename Load,
            typename Numbers>
  MIDGE_INLINE void add_rows(const uint8_t* cache, int64_t row_stride, int64_t group_stride,
                             int64_t rows, const Load& load, const Numbers& numbers,
                             const uint8_t** ahead, V (&sums)[kQueries][kVectors]) {
    const auto add_row = [&]<int i>(const auto& factors_of) {
      add_products<kQueries, kVectors, kGroup, i>(cache, group_stride, load, factors_of, sums);
      cache += row_stride;
    };
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
      prefetch<4 * kRowBytes>(ahead);
      if constexpr (Isa::kFactors == 4) {
        Factors factors[kQueries];
#pragma GCC unroll 16
        for (int j = 0; j < kQueries; ++j) factors[j] = Isa::load_factors(numbers(j) + r);
        const auto factors_of = [&](int j) { return factors[j]; };
        add_row.template operator()<0>(factors_of);
        add_row.template operator()<1>(factors_of);
        add_row.template operator()<2>(factors_of);
        add_row.template operator()<3>(factors_of);
      } else {
#pragma GCC unroll 4
        for (int64_t i = r; i < r + 4; ++i) {
          add_row.template operator()<0>([&](int j) { return Isa::load_factor(numbers(j) + i); });
        }
      }
    }
    for (; r < rows; ++r) {
      add_row.template operator()<0>([&](int j) { return Isa::load_factor(numbers(j) + r); });
    }
  }

  // Scores of kVectors vectors of keys from vector `first` of the step.
  template <int kQueries, int kVectors>
  MIDGE_INLINE void score_tile(Set& set, int64_t first) {
    constexpr int kGroup = kVectors < kBlockVectors ? kVectors : kBlockVectors;
    const AttnArgs* args = set.args;
    const uint8_t* keys = set.cache.keys + first / kBlockVectors * args->k_stride +
                          first % kBlockVectors * kWidth * Isa::kCacheBytes;
    V sums[kQueries][kVectors];
#pragma GCC unroll 16
    for (int j = 0; j < kQueries; ++j) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sums[j][v] = Isa::broadcast(0.0f);
    }
    const float* q[kQueries];
    for (int j = 0; j < kQueries; ++j) q[j] = set.queries[j].q;
    const uint8_t* ahead = set.ahead;  // in a register
    add_rows<kQueries, kVectors, kGroup, kVectors * kWidth * Isa::kCacheBytes>(
        keys, kKeyBlock * Isa::kCacheBytes, args->k_stride, args->head_dim,
        []<int n>(const uint8_t* p, V* v) { Isa::template load_cache<n>(p, v); },
        [&](int j) { return q[j]; }, &ahead, sums);
    set.ahead = ahead;
    const V scale = Isa::broadcast(args->scale);
#pragma GCC unroll 16
    for (int j = 0; j < kQueries; ++j) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        Isa::store(set.scores[j] + (first + v) * kWidth, Isa::mul(sums[j][v], scale));
      }
    }
  }

  // The same of int8 keys.
  template <int kQueries, int kVectors>
  MIDGE_INLINE void score_tile_of_integers(Set& set, int64_t first) {
    constexpr int kGroup = kVectors < kBlockVectors ? kVectors : kBlockVectors;
    const AttnArgs* args = set.args;
    const uint8_t* keys = set.cache.keys + first / kBlockVectors * args->k_stride +
                          first % kBlockVectors * kWidth * kKeyGroup;
    const QuantizedQuery* queries[kQueries];
    const int8_t* q[kQueries];
    typename Isa::Sums sums[kQueries][kVectors];
#pragma GCC unroll 16
    for (int j = 0; j < kQueries; ++j) {
      queries[j] = reinterpret_cast<const QuantizedQuery*>(set.queries[j].q);
      q[j] = query_values(queries[j]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sums[j][v] = Isa::first_sum(queries[j]->sum);
    }
    const auto add_group = [&]<int i>(const auto& query_of) {
      typename Isa::KeyVector vectors[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        vectors[v] =
            Isa::load_keys(keys + v / kGroup * args->k_stride + v % kGroup * kWidth * kKeyGroup);
      }
#pragma GCC unroll 16
      for (int j = 0; j < kQueries; ++j) {
        const auto query = query_of(j);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) {
          sums[j][v] = Isa::template dot<i>(sums[j][v], vectors[v], query);
        }
      }
      keys += kKeyBlock * kKeyGroup;
    };
    const uint8_t* ahead = set.ahead;  // in a register
    const int64_t groups = (args->head_dim + kKeyGroup - 1) / kKeyGroup;
    int64_t g = 0;
    for (; g + 4 <= groups; g += 4) {
      prefetch<4 * kVectors * kWidth * kKeyGroup>(&ahead);
      if constexpr (Isa::kQueryGroups == 4) {
        typename Isa::QueryVector four[kQueries];
#pragma GCC unroll 16
        for (int j = 0; j < kQueries; ++j) four[j] = Isa::load_query(q[j] + g * kKeyGroup);
        const auto query_of = [&](int j) { return four[j]; };
        add_group.template operator()<0>(query_of);
        add_group.template operator()<1>(query_of);
        add_group.template operator()<2>(query_of);
        add_group.template operator()<3>(query_of);
      } else {
#pragma GCC unroll 4
        for (int64_t i = g; i < g + 4; ++i) {
          add_group.template operator()<0>(
              [&](int j) { return Isa::load_group(q[j] + i * kKeyGroup); });
        }
      }
    }
    for (; g < groups; ++g) {
      add_group.template operator()<0>(
          [&](int j) { return Isa::load_group(q[j] + g * kKeyGroup); });
    }
    set.ahead = ahead;
#pragma GCC unroll 16
    for (int j = 0; j < kQueries; ++j) {
      const V scale = Isa::broadcast(args->scale * queries[j]->scale);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        const V scales = Isa::mul(scale, Isa::load(set.cache.key_scales + (first + v) * kWidth));
        Isa::store(set.scores[j] + (first + v) * kWidth,
                   Isa::mul(Isa::to_float(sums[j][v]), scales));
      }
    }
  }

  template <int kQueries, int kVectors>
  MIDGE_INLINE void any_score_tile(Set& set, int64_t first) {
    if constexpr (Isa::kQuantized) {
      score_tile_of_integers<kQueries, kVectors>(set, first);
    } else {
      score_tile<kQueries, kVectors>(set, first);
    }
  }
  static constexpr int vectors_of_keys(int queries) {
    if constexpr (Isa::kQuantized) {
      return Isa::key_vectors(queries);
    } else {
      return Isa::tile_vectors(queries);
    }
  }

  // Scores of the blocks from `first` up to `end`, both counted in vectors of the step.
  template <int kQueries>
  static void score(Set& set, int64_t first, int64_t end) {
    constexpr int kTile = vectors_of_keys(kQueries);
    if constexpr (kTile > kBlockVectors) {
      for (; first + kTile <= end; first += kTile) any_score_tile<kQueries, kTile>(set, first);
    }
    constexpr int kRest = kTile > kBlockVectors ? kBlockVectors : kTile;
    for (; first < end; first += kRest) any_score_tile<kQueries, kRest>(set, first);
  }

  // out[queries][vectors from element d on] += weights[query][keys of range] x their values.
  template <int kQueries, int kVectors>
  MIDGE_INLINE void value_tile(Set& set, int first_query, KeyRange range,
                               const float (*weights)[kAttnStep], int64_t d) {
    const AttnArgs* args = set.args;
    const uint8_t* rows = set.cache.values + range.begin * args->v_stride;
    const AttnQuery* queries = set.queries + first_query;
    const uint8_t* ahead = set.ahead;  // in a register
    V sums[kQueries][kVectors];
#pragma GCC unroll 16
    for (int j = 0; j < kQueries; ++j) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sums[j][v] = Isa::load(queries[j].out + d + v * kWidth);
    }
    const auto numbers = [&](int j) { return weights[j] + range.begin; };
    const int64_t count = range.end - range.begin;
    if constexpr (Isa::kQuantized) {
      add_rows<kQueries, kVectors, kVectors, kVectors * kWidth * Isa::kBits / 8>(
          rows, args->v_stride, 0, count,
          [d]<int n>(const uint8_t* row, V* v) { Isa::template load_values<n>(row, d, v); },
          numbers, &ahead, sums);
    } else {
      add_rows<kQueries, kVectors, kVectors, kVectors * kWidth * Isa::kCacheBytes>(
          rows + d * Isa::kCacheBytes, args->v_stride, 0, count,
          []<int n>(const uint8_t* p, V* v) { Isa::template load_cache<n>(p, v); }, numbers, &ahead,
          sums);
    }
    set.ahead = ahead;
#pragma GCC unroll 16
    for (int j = 0; j < kQueries; ++j) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) Isa::store(queries[j].out + d + v * kWidth, sums[j][v]);
    }
  }

  static float value_at(const uint8_t* row, int64_t d) {
    if constexpr (Isa::kQuantized) {
      return Isa::load_value(row, d);
    } else {
      return Isa::load_element(row + d * Isa::kCacheBytes);
    }
  }
  static constexpr int vectors_of_values(int queries) {
    if constexpr (Isa::kQuantized) {
      constexpr int kRun = static_cast<int>(Isa::kScaleRun < 1024 ? Isa::kScaleRun / kWidth : 1024);
      return Isa::tile_vectors(queries) < kRun ? Isa::tile_vectors(queries) : kRun;
    } else {
      return Isa::tile_vectors(queries);
    }
  }

  // out[queries][begin..end - 1] += weights[query][keys of range] x their values.
  template <int kQueries>
  static void add_values_with(Set& set, int first_query, KeyRange range,
                              const float (*weights)[kAttnStep], int64_t begin, int64_t end) {
    constexpr int kTile = vectors_of_values(kQueries);
    int64_t d = begin;
    for (; d + kTile * kWidth <= end; d += kTile * kWidth) {
      value_tile<kQueries, kTile>(set, first_query, range, weights, d);
    }
    for (; d + kWidth <= end; d += kWidth) {
      value_tile<kQueries, 1>(set, first_query, range, weights, d);
    }
    for (; d < end; ++d) {
      for (int j = 0; j < kQueries; ++j) {
        float* out = set.queries[first_query + j].out + d;
        float sum = *out;
        for (int64_t t = range.begin; t < range.end; ++t) {
          const float value = value_at(set.cache.values + t * set.args->v_stride, d);
          sum = __builtin_fmaf(weights[j][t], value, sum);
        }
        *out = sum;
      }
    }
  }

  // out[queries][head_dim] += weights of the keys of range x their values.
  template <int kQueries>
  static void add_values(Set& set, int first_query, KeyRange range) {
    if (range.begin >= range.end) return;
    const int64_t head_dim = set.args->head_dim;
    if constexpr (!Isa::kQuantized) {
      add_values_with<kQueries>(set, first_query, range, set.scores + first_query, 0, head_dim);
    } else {
      const auto* scales = reinterpret_cast<const uint8_t*>(set.cache.value_scales);
      for (int64_t d = 0; d < head_dim; scales += set.args->v_scales_stride) {
        const int64_t end = head_dim - d < Isa::kScaleRun ? head_dim : d + Isa::kScaleRun;
        // Lanes of keys that are not in the range are not used.
        for (int64_t t = range.begin / kWidth * kWidth; t < range.end; t += kWidth) {
          const V of_keys = Isa::load(reinterpret_cast<const float*>(scales) + t);
#pragma GCC unroll 16
          for (int j = 0; j < kQueries; ++j) {
            Isa::store(set.scaled[j] + t,
                       Isa::mul(Isa::load(set.scores[first_query + j] + t), of_keys));
          }
        }
        add_values_with<kQueries>(set, first_query, range, set.scaled, d, end);
        d = end;
      }
    }
  }

  // The weights of query j as integers, zeros where it sees nothing.
  static void quantize_weights(Set& set, int j) {
    constexpr float kUnits = 32767.0f;
    const KeyRange seen = set.seen[j];
    int16_t* units = set.units[j];
    float* scaled = set.scaled[j];
    for (int64_t t = 0; t < kAttnStep; ++t) units[t] = 0;
    set.factors[j] = 0.0f;
    if (seen.begin >= seen.end) return;
    const int64_t first = seen.begin / kKeyBlock * kKeyBlock;
    const int64_t end = (seen.end + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
    for (int64_t t = first; t < end; t += kWidth) {
      Isa::store(scaled + t,
                 Isa::mul(Isa::load(set.scores[j] + t), Isa::load(set.cache.value_scales + t)));
    }
    for (int64_t t = first; t < seen.begin; ++t) scaled[t] = 0.0f;
    for (int64_t t = seen.end; t < end; ++t) scaled[t] = 0.0f;
    V highest = Isa::broadcast(0.0f);
    V zeros = highest;  // or NaN
    for (int64_t t = first; t < end; t += kWidth) {
      const V v = Isa::load(scaled + t);
      highest = Isa::highest(highest, v);
      zeros = Isa::add(zeros, Isa::sub(v, v));
    }
    float lanes[kWidth];
    Isa::store(lanes, zeros);
    float sum = 0.0f;
    for (int64_t l = 0; l < kWidth; ++l) sum += lanes[l];
    if (!(sum == 0.0f)) {
      set.factors[j] = __builtin_nanf("");
      return;
    }
    const float top = Isa::highest_lane(highest);
    if (!(top >= kQuantizeMin)) return;
    set.factors[j] = top / kUnits;
    const V inverse = Isa::broadcast(kUnits / top);
    for (int64_t t = first; t < end; t += kWidth) {
      Isa::store_units(units + t, Isa::mul(Isa::load(scaled + t), inverse));
    }
  }

  // out[queries][vectors from element d on] += the integer weights of the keys `range`, which begin
  // and end with pairs, times their values.
  template <int kQueries, int kVectors>
  MIDGE_INLINE void value_tile_of_integers(Set& set, KeyRange range, int64_t d) {
    const int64_t pair_stride = 2 * set.args->v_stride;
    const uint8_t* pairs = set.cache.values + range.begin / 2 * pair_stride + 2 * d;
    typename Isa::ValueSums sums[kQueries][kVectors];
#pragma GCC unroll 16
    for (int j = 0; j < kQueries; ++j) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sums[j][v] = Isa::no_values();
    }
    const uint8_t* ahead = set.ahead;  // in a register
    const auto add_pair = [&]<int i>(const auto& weights_of) {
      typename Isa::PairVector vectors[kVectors];
      Isa::template load_pairs<kVectors>(pairs, vectors);
#pragma GCC unroll 16
      for (int j = 0; j < kQueries; ++j) {
        const auto weights = weights_of(j);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) {
          sums[j][v] = Isa::template add_pair<i>(sums[j][v], vectors[v], weights);
        }
      }
      pairs += pair_stride;
    };
    int64_t t = range.begin;
    if constexpr (Isa::kWeightPairs == 4) {
      for (; t + 8 <= range.end; t += 8) {
        prefetch<8 * kVectors * kWidth>(&ahead);
        typename Isa::WeightVector weights[kQueries];
#pragma GCC unroll 16
        for (int j = 0; j < kQueries; ++j) weights[j] = Isa::load_weights(set.units[j] + t);
        const auto weights_of = [&](int j) { return weights[j]; };
        add_pair.template operator()<0>(weights_of);
        add_pair.template operator()<1>(weights_of);
        add_pair.template operator()<2>(weights_of);
        add_pair.template operator()<3>(weights_of);
      }
    } else {
      for (; t + 4 <= range.end; t += 4) {
        prefetch<4 * kVectors * kWidth>(&ahead);
        add_pair.template operator()<0>([&](int j) { return Isa::load_pair(set.units[j] + t); });
        add_pair.template operator()<0>(
            [&](int j) { return Isa::load_pair(set.units[j] + t + 2); });
      }
    }
    for (; t < range.end; t += 2) {
      add_pair.template operator()<0>([&](int j) { return Isa::load_pair(set.units[j] + t); });
    }
    set.ahead = ahead;
#pragma GCC unroll 16
    for (int j = 0; j < kQueries; ++j) {
      if (set.seen[j].begin >= set.seen[j].end) continue;
      const Factors factor = Isa::load_factor(set.factors + j);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        float* out = set.queries[j].out + d + v * kWidth;
        Isa::store(out, Isa::template multiply_add<0>(Isa::values_to_float(sums[j][v]), factor,
                                                      Isa::load(out)));
      }
    }
  }

  template <int kQueries>
  static void add_integer_values(Set& set, KeyRange range) {
    for (int j = 0; j < kQueries; ++j) quantize_weights(set, j);
    range = {range.begin / 2 * 2, (range.end + 1) / 2 * 2};
    constexpr int kTile = Isa::value_vectors(kQueries);
    const int64_t head_dim = set.args->head_dim;
    int64_t d = 0;
    for (; d + kTile * kWidth <= head_dim; d += kTile * kWidth) {
      value_tile_of_integers<kQueries, kTile>(set, range, d);
    }
    for (; d + kWidth <= head_dim; d += kWidth) {
      value_tile_of_integers<kQueries, 1>(set, range, d);
    }
    for (; d < head_dim; ++d) {
      for (int j = 0; j < kQueries; ++j) {
        if (set.seen[j].begin >= set.seen[j].end) continue;
        int32_t sum = 0;
        for (int64_t t = range.begin; t < range.end; ++t) {
          const auto* pair =
              reinterpret_cast<const int8_t*>(set.cache.values + t / 2 * 2 * set.args->v_stride);
          sum += set.units[j][t] * pair[2 * d + t % 2];
        }
        float* out = set.queries[j].out + d;
        *out = __builtin_fmaf(static_cast<float>(sum), set.factors[j], *out);
      }
    }
  }

  // scores -> weights of query j; scales what it has so far.
  static void soften(Set& set, int j, int64_t head_dim) {
    const KeyRange seen = set.seen[j];
    float* scores = set.scores[j];
    State& state = set.states[j];
    const int64_t first = seen.begin / kKeyBlock * kKeyBlock;
    const int64_t end = (seen.end + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
    // Beside what is seen: weight 0.
    for (int64_t t = first; t < seen.begin; ++t) scores[t] = -__builtin_inff();
    for (int64_t t = seen.end; t < end; ++t) scores[t] = -__builtin_inff();
    V highest = Isa::load(scores + first);
    for (int64_t t = first + kWidth; t < end; t += kWidth) {
      highest = Isa::highest(highest, Isa::load(scores + t));
    }
    const float step_maximum = Isa::highest_lane(highest);
    V totals[kBlockVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kBlockVectors; ++v) totals[v] = Isa::load(state.totals + v * kWidth);
    if (!(step_maximum <= state.maximum)) {
      const V correction = vectors::exp_to_zero<Isa>(Isa::broadcast(state.maximum - step_maximum));
      state.maximum = step_maximum;
#pragma GCC unroll 16
      for (int v = 0; v < kBlockVectors; ++v) totals[v] = Isa::mul(totals[v], correction);
      float* out = set.queries[j].out;
      int64_t d = 0;
      for (; d + kWidth <= head_dim; d += kWidth) {
        Isa::store(out + d, Isa::mul(Isa::load(out + d), correction));
      }
      if (d < head_dim) {
        float lanes[kWidth];
        Isa::store(lanes, correction);
        for (; d < head_dim; ++d) out[d] *= lanes[0];
      }
    }
    const V maximum = Isa::broadcast(state.maximum);
    for (int64_t t = first; t < end; t += kKeyBlock) {
#pragma GCC unroll 16
      for (int v = 0; v < kBlockVectors; ++v) {
        float* at = scores + t + v * kWidth;
        const V weights = vectors::exp_to_zero<Isa>(Isa::sub(Isa::load(at), maximum));
        Isa::store(at, weights);
        totals[v] = Isa::add(totals[v], weights);
      }
    }
#pragma GCC unroll 16
    for (int v = 0; v < kBlockVectors; ++v) Isa::store(state.totals + v * kWidth, totals[v]);
  }

  // Scales of a step, which lie apart from what is read as a stream.
  static void prefetch_scales(const Set& set, const float* scales, int64_t rows) {
    if constexpr (Isa::kQuantized && Isa::kPrefetch) {
      if (!set.is_first || scales == nullptr) return;
      const auto* row = reinterpret_cast<const uint8_t*>(scales);
      for (int64_t i = 0; i < rows; ++i, row += set.args->v_scales_stride) {
        const uint8_t* ahead = row;
        prefetch<kAttnStep * 4>(&ahead);
      }
    }
  }
  static int64_t value_scale_rows(const Set& set) {
    if constexpr (Isa::kQuantized) {
      const int64_t head_dim = set.args->head_dim;
      return head_dim <= Isa::kScaleRun ? 1 : (head_dim + Isa::kScaleRun - 1) / Isa::kScaleRun;
    } else {
      return 0;
    }
  }

  // One step of the first kQueries queries of the set.
  template <int kQueries>
  static void run_step(Set& set) {
    KeyRange any = {kAttnStep, 0};     // seen by at least one query
    KeyRange common = {0, kAttnStep};  // seen by all
    for (int j = 0; j < kQueries; ++j) {
      const KeyRange seen = keys_of_step(set.queries[j], set.step);
      set.seen[j] = seen;
      common.begin = seen.begin > common.begin ? seen.begin : common.begin;
      common.end = seen.end < common.end ? seen.end : common.end;
      if (seen.begin >= seen.end) continue;
      any.begin = seen.begin < any.begin ? seen.begin : any.begin;
      any.end = seen.end > any.end ? seen.end : any.end;
    }
    if (any.begin >= any.end) return;
    // While the keys are worked through, as many bytes of values are asked for, and the other way
    // round: keys and values take turns too often for hardware to keep up with both streams.
    set.ahead = set.is_first ? set.cache.values : nullptr;
    prefetch_scales(set, set.cache.value_scales, value_scale_rows(set));
    score<kQueries>(set, any.begin / kKeyBlock * kBlockVectors,
                    (any.end + kKeyBlock - 1) / kKeyBlock * kBlockVectors);
    if constexpr (Isa::kIntegerValues) set.ahead = set.is_first ? set.next.keys : nullptr;
    for (int j = 0; j < kQueries; ++j) {
      // Exponentials read nothing: without this, memory would have nothing to do meanwhile.
      if constexpr (Isa::kIntegerValues) prefetch<Isa::kSoftenPrefetch>(&set.ahead);
      if (set.seen[j].begin < set.seen[j].end) soften(set, j, set.args->head_dim);
    }
    if constexpr (Isa::kIntegerValues) {
      prefetch_scales(set, set.next.key_scales, 1);
      add_integer_values<kQueries>(set, any);
    } else {
      add_float_values<kQueries>(set, common);
    }
  }

  template <int kQueries>
  static void add_float_values(Set& set, KeyRange common) {
    // Keys that not all queries see are taken query by query: a value that is not to be seen may
    // be a NaN. In order of keys for each query.
    if (common.begin >= common.end) {
      set.ahead = nullptr;
      for (int j = 0; j < kQueries; ++j) add_values<1>(set, j, set.seen[j]);
      return;
    }
    for (int j = 0; j < kQueries; ++j) {
      add_values<1>(set, j, {set.seen[j].begin, common.begin});
    }
    if (set.is_first) set.ahead = set.next.keys;
    prefetch_scales(set, set.next.key_scales, 1);
    add_values<kQueries>(set, 0, common);
    for (int j = 0; j < kQueries; ++j) add_values<1>(set, j, {common.end, set.seen[j].end});
  }

  // As run_step, with the number of queries at run time.
  template <int kQueries = Isa::kSet>
  static void run_step_of(int64_t count, Set& set) {
    if constexpr (kQueries == 1) {
      run_step<1>(set);
    } else if (count >= kQueries) {
      run_step<kQueries>(set);
    } else {
      run_step_of<kQueries - 1>(count, set);
    }
  }

  static void run(const AttnArgs* args) {
    State states[kAttnQueries];
    int64_t begin = INT64_MAX;
    int64_t end = 0;
    for (int64_t j = 0; j < args->count; ++j) {
      const AttnQuery& query = args->queries[j];
      for (float& total : states[j].totals) total = 0.0f;
      states[j].maximum = -__builtin_inff();
      for (int64_t d = 0; d < args->head_dim; ++d) query.out[d] = 0.0f;
      if (query.begin >= query.end) continue;
      begin = query.begin < begin ? query.begin : begin;
      end = query.end > end ? query.end : end;
    }
    Set set;
    set.args = args;
    for (set.step = begin / kAttnStep * kAttnStep; set.step < end; set.step += kAttnStep) {
      set.cache = cache_of_step(args, set.step);
      const int64_t next = set.step + kAttnStep;
      set.next = has_step(args, next) ? cache_of_step(args, next) : StepCache{};
      for (int64_t j = 0; j < args->count; j += Isa::kSet) {
        set.queries = args->queries + j;
        set.is_first = j == 0;
        set.states = states + j;
        run_step_of(args->count - j, set);
      }
    }
    for (int64_t j = 0; j < args->count; ++j) {
      float* totals = states[j].totals;
      for (int64_t half = kKeyBlock / 2; half > 0; half /= 2) {
        for (int64_t l = 0; l < half; ++l) totals[l] += totals[l + half];
      }
      finish_query(args, j, states[j].maximum, totals[0]);
    }
  }
};

}  // namespace midge::attention
