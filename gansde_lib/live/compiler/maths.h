/* float32 mathematics for the live figures: no libc, no branches in the functions a loop calls often (so that clang
 * vectorises the loop), denormals taken as zero as XLA does on the CPU. Accuracy is a few units in the last place. */

typedef unsigned int uint;
#define INF __builtin_inff()
#define NOT_A_NUMBER __builtin_nanf("")
#define M static inline __attribute__((always_inline))
/* Says that the turns of the next loop do not depend on each other: true of every loop the compiler marks. Eight turns
 * at a time, in two SIMD vectors, so that one works while the other waits for its results. */
#define PARALLEL _Pragma("clang loop vectorize(assume_safety) interleave_count(2)")
/* Lets a sum be taken in any order, which is what SIMD needs; applies to the one statement it stands before. */
#define ANY_ORDER _Pragma("clang fp reassociate(on)")

M float bits_to_float(uint u) { union { uint u; float f; } v = {.u = u}; return v.f; }
M uint float_to_bits(float f) { union { float f; uint u; } v = {.f = f}; return v.u; }
M int bits_to_int(uint u) { return (int)u; }
M float m_abs(float x) { return __builtin_fabsf(x); }
/* Denormals are slow on every CPU and wasm cannot switch them off. What loops carry is therefore zero below 1e-18, so
 * that products of two of them are no denormals, and square(x) is zero below 1e-18, where no function here needs it. */
M float flush(float x) { return m_abs(x) < 1e-18f ? 0.0f : x; }
M float square(float x) { float y = m_abs(x) < 1e-9f ? 0.0f : x; return y * y; }
M float m_floor(float x) { return __builtin_floorf(x); }
M float m_ceil(float x) { return __builtin_ceilf(x); }
M float m_nearest(float x) { return __builtin_rintf(x); }
M float m_round(float x) { float t = __builtin_truncf(x); return m_abs(x - t) >= 0.5f ? t + __builtin_copysignf(1.0f, x) : t; }
M float m_sqrt(float x) { return __builtin_sqrtf(x); }
M float m_rsqrt(float x) { return 1.0f / m_sqrt(x); }
M float m_sign(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x; }
M float m_max(float a, float b) { return __builtin_elementwise_maximum(a, b); } /* a NaN wins, as in JAX */
M float m_min(float a, float b) { return __builtin_elementwise_minimum(a, b); }

/* Integers: division by zero and over-long shifts have values in JAX and are traps or undefined in C. */
M int max_int(int a, int b) { return a > b ? a : b; }
M int min_int(int a, int b) { return a < b ? a : b; }
M uint max_uint(uint a, uint b) { return a > b ? a : b; }
M uint min_uint(uint a, uint b) { return a < b ? a : b; }
M int div_int(int a, int b) { return b == 0 ? -1 : b == -1 ? -a : a / b; }
M int rem_int(int a, int b) { return b == 0 ? a : b == -1 ? 0 : a % b; }
M uint div_uint(uint a, uint b) { return b == 0 ? ~0u : a / b; }
M uint rem_uint(uint a, uint b) { return b == 0 ? a : a % b; }
M uint shift_left(uint a, uint b) { return b < 32 ? a << b : 0; }
M uint shift_right_logical(uint a, uint b) { return b < 32 ? a >> b : 0; }
M int shift_right_arithmetic(int a, uint b) { return a >> (b < 32 ? b : 31); }

/* The smaller and the larger one; `a` if it is a NaN. One instruction, which m_min and m_max are not. */
M float lower(float a, float b) { return b < a ? b : a; }
M float higher(float a, float b) { return a < b ? b : a; }

/* exp(x) = 2^n exp(r) with |r| <= log(2) / 2. Adding 1.5 * 2^23 rounds to an integer and leaves it in the last bits. */
#define ROUNDER 12582912.0f
M float tail_of_exp(float r) { /* exp(r) - 1; the parts of the polynomial do not wait for each other */
  float z = square(r), low = 1.6666665459e-1f * r + 5.0000001201e-1f;
  float middle = 8.3334519073e-3f * r + 4.1665795894e-2f, high = 1.9875691500e-4f * r + 1.3981999507e-3f;
  return (low + z * (middle + z * high)) * z + r;
}
M float m_exp(float x) {
  float z = higher(lower(x, 89.0f), -87.5f), shifted = z * 1.44269504f + ROUNDER, n = shifted - ROUNDER;
  float half_power = bits_to_float((float_to_bits(shifted) + 126u) << 23); /* 2^(n - 1): 2^128 has no bits */
  return (1.0f + tail_of_exp((z - n * 0.693359375f) + n * 2.12194440e-4f)) * half_power * 2.0f;
}
M float m_expm1(float x) {
  float z = higher(lower(x, 89.0f), -40.0f), shifted = z * 1.44269504f + ROUNDER, n = shifted - ROUNDER;
  float half_power = bits_to_float((float_to_bits(shifted) + 126u) << 23);
  float tail = tail_of_exp((z - n * 0.693359375f) + n * 2.12194440e-4f);
  return x == 0.0f ? x : n == 0.0f ? tail : (tail * half_power + (half_power - 0.5f)) * 2.0f;
}
M float m_exp2(float x) { return m_exp(x * 0.693147181f); }
M float log_of_normal(float x) { /* x positive, neither denormal nor infinite */
  uint bits = float_to_bits(x), shifted = bits - 0x3f3504f3u; /* mantissa in [sqrt(1/2), sqrt(2)) */
  float e = (float)((int)shifted >> 23), f = bits_to_float((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
  float z = f * f, a = 3.3333331174e-1f - 2.4999993993e-1f * f, b = 2.0000714765e-1f - 1.6668057665e-1f * f;
  float c = 1.4249322787e-1f - 1.2420140846e-1f * f, d = 1.1676998740e-1f - 1.1514610310e-1f * f;
  float p = (a + z * b) + (z * z) * (c + z * (d + z * 7.0376836292e-2f));
  return f + (f * z * p + e * -2.12194440e-4f - 0.5f * z) + e * 0.693359375f;
}
M float m_log(float x) {
  float y = x == INF ? INF : x >= 1.1754944e-38f ? log_of_normal(x) : -INF;
  return x > -1.1754944e-38f ? y : NOT_A_NUMBER;
}
M float m_log1p(float x) { /* log(u) x / (u - 1) undoes the rounding of u = 1 + x */
  float u = 1.0f + x, y = u == 1.0f ? x : log_of_normal(u) * (x / (u - 1.0f));
  return x == INF ? INF : x > -1.0f ? y : x == -1.0f ? -INF : NOT_A_NUMBER;
}
M float m_tanh(float x) {
  float z = higher(lower(x, 7.90531110763549805f), -7.90531110763549805f), s = square(z);
  float p = -2.76076847742355e-16f;
  p = p * s + 2.00018790482477e-13f;
  p = p * s - 8.60467152213735e-11f;
  p = p * s + 5.12229709037114e-08f;
  p = p * s + 1.48572235717979e-05f;
  p = p * s + 6.37261928875436e-04f;
  p = p * s + 4.89352455891786e-03f;
  float q = 1.19825839466702e-06f;
  q = q * s + 1.18534705686654e-04f;
  q = q * s + 2.26843463243900e-03f;
  q = q * s + 4.89352518554385e-03f;
  return m_abs(x) < 0.0004f ? x : z * p / q;
}
M float m_sinh(float x) {
  float a = m_abs(x), e = m_expm1(a), half = m_exp(0.5f * a);
  return __builtin_copysignf(a > 80.0f ? 0.5f * half * half : 0.5f * (e + e / (e + 1.0f)), x);
}
M float m_cosh(float x) {
  float a = m_abs(x), e = m_exp(a), half = m_exp(0.5f * a);
  return a > 80.0f ? 0.5f * half * half : 0.5f * (e + 1.0f / e);
}
M float m_asinh(float x) {
  float a = m_abs(x), y = a > 1e8f ? m_log(a) + 0.693147181f : m_log1p(a + a * a / (1.0f + m_sqrt(a * a + 1.0f)));
  return __builtin_copysignf(y, x);
}
M float m_acosh(float x) {
  float t = x - 1.0f;
  return x > 1e8f ? m_log(x) + 0.693147181f : m_log1p(t + m_sqrt(2.0f * t + t * t));
}
M float m_atanh(float x) { return 0.5f * m_log1p(2.0f * x / (1.0f - x)); }

/* Reduction by multiples of pi / 2 in three parts: good up to |x| of about 1e5. */
M float sine_or_cosine(float x, int quarter) {
  float n = m_nearest(x * 0.636619772f);
  float r = ((x - n * 1.5703125f) - n * 4.837512969970703125e-4f) - n * 7.54978995489188216e-8f, z = square(r);
  int turn = (int)n + quarter;
  float s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
  float c = ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1.0f;
  float y = turn & 1 ? c : s;
  return turn & 2 ? -y : y;
}
M float m_sin(float x) { return sine_or_cosine(x, 0); }
M float m_cos(float x) { return sine_or_cosine(x, 1); }
M float m_tan(float x) { return m_sin(x) / m_cos(x); }
M float m_atan(float x) {
  float a = m_abs(x), t = a > 2.414213562f ? -1.0f / a : a > 0.414213562f ? (a - 1.0f) / (a + 1.0f) : a, z = square(t);
  float base = a > 2.414213562f ? 1.570796327f : a > 0.414213562f ? 0.785398163f : 0.0f;
  float p = ((8.05374449538e-2f * z - 1.38776856032e-1f) * z + 1.99777106478e-1f) * z - 3.33329491539e-1f;
  return __builtin_copysignf(base + (p * z * t + t), x);
}
M float m_atan2(float y, float x) {
  float ax = m_abs(x), ay = m_abs(y), low = lower(ax, ay), high = higher(ax, ay);
  float t = m_atan(high == 0.0f ? 0.0f : low == high ? 1.0f : low / high);
  t = ay > ax ? 1.570796327f - t : t;
  t = __builtin_copysignf(1.0f, x) < 0.0f ? 3.141592654f - t : t;
  return x != x || y != y ? x + y : __builtin_copysignf(t, y);
}
M float m_asin(float x) { return m_atan2(x, m_sqrt((1.0f - x) * (1.0f + x))); }
M float m_acos(float x) { return m_atan2(m_sqrt((1.0f - x) * (1.0f + x)), x); }

/* A large exponent multiplies the logarithm's error, so the logarithm is taken in float64. */
M float m_pow(float x, float y) {
  float a = m_abs(x);
  uint shifted = float_to_bits(a) - 0x3f3504f3u;
  double f = (double)bits_to_float((shifted & 0x007fffffu) + 0x3f3504f3u), s = (f - 1.0) / (f + 1.0), z = s * s;
  double series = 2.0 * s * (1.0 + z * (1.0 / 3 + z * (0.2 + z * (1.0 / 7 + z * (1.0 / 9 + z / 11)))));
  double power = (double)y * (series + 0.6931471805599453 * (double)((int)shifted >> 23));
  float big = (float)power, result = m_exp(big) * (1.0f + (float)(power - (double)big));
  result = big > 88.8f ? INF : big < -87.4f ? 0.0f : result;
  result = a == 0.0f ? (y > 0.0f ? 0.0f : INF) : a == INF ? (y > 0.0f ? INF : 0.0f) : result;
  int whole = m_nearest(y) == y, odd = whole && m_abs(y) < 16777216.0f && ((int)y & 1);
  result = x < 0.0f && !whole && a != INF ? NOT_A_NUMBER : odd ? __builtin_copysignf(result, x) : result;
  float of_infinity = a == 1.0f ? 1.0f : (a > 1.0f) == (y > 0.0f) ? INF : 0.0f;
  result = m_abs(y) == INF ? of_infinity : result;
  return y == 0.0f || x == 1.0f ? 1.0f : x != x || y != y ? NOT_A_NUMBER : result;
}
M float m_cbrt(float x) {
  float y = m_exp(m_log(m_abs(x)) * 0.333333333f);
  y = y - (y - m_abs(x) / (y * y)) * 0.333333333f;
  return x == 0.0f || x != x || m_abs(x) == INF ? x : __builtin_copysignf(y, x);
}
M float m_rem(float x, float y) { /* the sign of x, as C's fmod */
  double a = m_abs(x), b = m_abs(y), r = a - __builtin_trunc(a / b) * b;
  r = r < 0 ? r + b : r >= b ? r - b : r;
  return m_abs(x) == INF || y == 0.0f || x != x || y != y ? NOT_A_NUMBER : b == (double)INF ? x : __builtin_copysignf((float)r, x);
}
M float m_erf(float x) {
  float z = higher(lower(x, 4.0f), -4.0f), s = square(z);
  float p = -2.72614225801306e-10f;
  p = p * s + 2.77068142495902e-08f;
  p = p * s - 2.10102402082508e-06f;
  p = p * s - 5.69250639462346e-05f;
  p = p * s - 7.34990630326855e-04f;
  p = p * s - 2.95459980854025e-03f;
  p = p * s - 1.60960333262415e-02f;
  float q = -1.45660718464996e-05f;
  q = q * s - 2.13374055278905e-04f;
  q = q * s - 1.68282697438203e-03f;
  q = q * s - 7.37332916720468e-03f;
  q = q * s - 1.42647390514189e-02f;
  return z * p / q;
}
M float m_erfc(float x) { /* Chebyshev fit of exp(x^2) erfc(x), relative error about 1e-7 */
  float a = m_abs(x), t = 1.0f / (1.0f + 0.5f * a);
  float p = 0.17087277f;
  p = p * t - 0.82215223f;
  p = p * t + 1.48851587f;
  p = p * t - 1.13520398f;
  p = p * t + 0.27886807f;
  p = p * t - 0.18628806f;
  p = p * t + 0.09678418f;
  p = p * t + 0.37409196f;
  p = p * t + 1.00002368f;
  p = p * t - 1.26551223f;
  float y = t * m_exp(-a * a) * m_exp(p);
  return m_abs(x) < 0.5f ? 1.0f - m_erf(x) : x >= 0.0f ? y : 2.0f - y;
}
M float m_erf_inv(float x) { /* Giles (2012), as in XLA */
  float w = -m_log1p(-x * x), s = m_sqrt(w) - 3.0f, c = w - 2.5f, p = 2.81022636e-08f, q = -0.000200214257f;
  p = p * c + 3.43273939e-07f;
  p = p * c - 3.5233877e-06f;
  p = p * c - 4.39150654e-06f;
  p = p * c + 0.00021858087f;
  p = p * c - 0.00125372503f;
  p = p * c - 0.00417768164f;
  p = p * c + 0.246640727f;
  p = p * c + 1.50140941f;
  q = q * s + 0.000100950558f;
  q = q * s + 0.00134934322f;
  q = q * s - 0.00367342844f;
  q = q * s + 0.00573950773f;
  q = q * s - 0.0076224613f;
  q = q * s + 0.00943887047f;
  q = q * s + 1.00167406f;
  q = q * s + 2.83297682f;
  return m_abs(x) == 1.0f ? x * INF : (w < 5.0f ? p : q) * x;
}

/* Threefry-2x32 with 20 rounds: the same bits as jax.random. */
#define ROUND(r) x0 += x1, x1 = ((x1 << r) | (x1 >> (32 - r))) ^ x0;
typedef struct { uint first, second; } Words;
M Words threefry(uint k0, uint k1, uint x0, uint x1) {
  uint k2 = k0 ^ k1 ^ 0x1BD11BDAu;
  x0 += k0, x1 += k1;
  ROUND(13) ROUND(15) ROUND(26) ROUND(6) x0 += k1, x1 += k2 + 1u;
  ROUND(17) ROUND(29) ROUND(16) ROUND(24) x0 += k2, x1 += k0 + 2u;
  ROUND(13) ROUND(15) ROUND(26) ROUND(6) x0 += k0, x1 += k1 + 3u;
  ROUND(17) ROUND(29) ROUND(16) ROUND(24) x0 += k1, x1 += k2 + 4u;
  ROUND(13) ROUND(15) ROUND(26) ROUND(6) x0 += k2, x1 += k0 + 5u;
  return (Words){x0, x1};
}
