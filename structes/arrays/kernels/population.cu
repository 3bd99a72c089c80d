/* Noise and the passes over a population that would otherwise write it and read it again.

It is compiled once for each type T of the normals: double, or float with -DFLOAT32; means, steps,
weights and all sums are double in both. A Philox block makes WIDTH neighbouring coordinates of one
row. A thread takes one block of coordinates and walks down rows, so what belongs to its
coordinates stays in registers. */

#ifdef FLOAT32
typedef float T;
#define NAME(kernel) kernel##_f32
#define WIDTH 8
#else
typedef double T;
#define NAME(kernel) kernel##_f64
#define WIDTH 4
#endif

/* ---- a block of normals ---- */

/* Philox4x64-10 (Salmon et al., 2011): the counter c becomes four random words. */
INLINE void philox(u64 c[4], u64 key0, u64 key1)
{
    UNROLL
    for (int round = 0; round < 10; round++) {
        const u64 a = 0xD2E7470EE14C6C93ull, b = 0xCA5A826395121157ull;
        const u64 high0 = __umul64hi(a, c[0]), low0 = a * c[0];
        const u64 high1 = __umul64hi(b, c[2]), low1 = b * c[2];
        c[0] = high1 ^ c[1] ^ key0;
        c[1] = low1;
        c[2] = high0 ^ c[3] ^ key1;
        c[3] = low0;
        key0 += 0x9E3779B97F4A7C15ull;
        key1 += 0xBB67AE8584CAA73Bull;
    }
}

#ifdef FLOAT32

/* Two normals of a word by Box and Muller (1958): the low half of the word gives the radius, the
   high half, as a signed number, the angle in half turns, in [-1, 1]. */
INLINE void normals_of_word(u64 word, float *z)
{
    const float u = ((float)(u32)word + 0.5f) * 0x1p-32f;
    const float r = sqrtf(-2.0f * logf(u));
    float s, c;
    sincospif((float)(int)(u32)(word >> 32) * 0x1p-31f, &s, &c);
    z[0] = r * c;
    z[1] = r * s;
}

#else

INLINE double polynomial(double x, double a0, double a1, double a2, double a3, double a4,
                         double a5, double a6, double a7)
{
    return fma(fma(fma(fma(fma(fma(fma(a7, x, a6), x, a5), x, a4), x, a3), x, a2), x, a1), x, a0);
}

/* The u-quantile of N(0, 1), 0 < u < 1: algorithm AS 241, PPND16 (Wichura, 1988, Applied
   Statistics 37), right to about 16 digits. One division serves its three ranges, for the threads
   of a warp are hardly ever all in the same one. */
INLINE double inverse_normal(double u)
{
    const double q = u - 0.5;
    double over, under;
    if (fabs(q) <= 0.425) {
        const double r = 0.180625 - q * q;
        over = q * polynomial(r, 3.3871328727963666080e0, 1.3314166789178437745e+2,
                              1.9715909503065514427e+3, 1.3731693765509461125e+4,
                              4.5921953931549871457e+4, 6.7265770927008700853e+4,
                              3.3430575583588128105e+4, 2.5090809287301226727e+3);
        under = polynomial(r, 1.0, 4.2313330701600911252e+1, 6.8718700749205790830e+2,
                           5.3941960214247511077e+3, 2.1213794301586595867e+4,
                           3.9307895800092710610e+4, 2.8729085735721942674e+4,
                           5.2264952788528545610e+3);
    } else {
        double r = sqrt(-log(q < 0 ? u : 1.0 - u));
        if (r <= 5.0) {
            r -= 1.6;
            over = polynomial(r, 1.42343711074968357734e0, 4.63033784615654529590e0,
                              5.76949722146069140550e0, 3.64784832476320460504e0,
                              1.27045825245236838258e0, 2.41780725177450611770e-1,
                              2.27238449892691845833e-2, 7.74545014278341407640e-4);
            under = polynomial(r, 1.0, 2.05319162663775882187e0, 1.67638483018380384940e0,
                               6.89767334985100004550e-1, 1.48103976427480074590e-1,
                               1.51986665636164571966e-2, 5.47593808499534494600e-4,
                               1.05075007164441684324e-9);
        } else {
            r -= 5.0;
            over = polynomial(r, 6.65790464350110377720e0, 5.46378491116411436990e0,
                              1.78482653991729133580e0, 2.96560571828504891230e-1,
                              2.65321895265761230930e-2, 1.24266094738807843860e-3,
                              2.71155556874348757815e-5, 2.01033439929228813265e-7);
            under = polynomial(r, 1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1,
                               1.48753612908506148525e-2, 7.86869131145613259100e-4,
                               1.84631831751005468180e-5, 1.42151175831644588870e-7,
                               2.04426310338993978564e-15);
        }
        over = q < 0 ? -over : over;
    }
    return over / under;
}

/* One normal of a word. 1 - 2^-53 stands for the one sum that would be rounded to 1. */
INLINE void normals_of_word(u64 word, double *z)
{
    *z = inverse_normal(fmin((double)(word >> 11) * 0x1p-53 + 0x1p-54, 1.0 - 0x1p-53));
}

#endif

/* Philox blocks of a row. */
INLINE i64 blocks_of(i64 dim) { return (dim + WIDTH - 1) / WIDTH; }

/* z: the WIDTH normals of block `block` of row `row`. */
INLINE void draw(T z[WIDTH], i64 row, i64 block, i64 dim, u64 seed, u64 stream, u64 generation)
{
    u64 c[4] = {1 + (u64)row * (u64)blocks_of(dim) + (u64)block, 0, generation, 0};
    philox(c, seed, stream);
    UNROLL
    for (int k = 0; k < 4; k++)
        normals_of_word(c[k], z + k * (WIDTH / 4));
}

/* The first n <= WIDTH numbers of z to `out`; on a GPU 16 bytes at a time where the address allows
   it, which it does in all rows if dim is a multiple of WIDTH. */
INLINE void store(T *out, const T z[WIDTH], i64 n)
{
#ifdef __CUDACC__
    if (n == WIDTH && (u64)out % 16 == 0) {
#ifdef FLOAT32
        ((float4 *)out)[0] = make_float4(z[0], z[1], z[2], z[3]);
        ((float4 *)out)[1] = make_float4(z[4], z[5], z[6], z[7]);
#else
        ((double2 *)out)[0] = make_double2(z[0], z[1]);
        ((double2 *)out)[1] = make_double2(z[2], z[3]);
#endif
        return;
    }
#endif
    UNROLL
    for (int k = 0; k < WIDTH; k++)
        if (k < n)
            out[k] = z[k];
}

/* ---- the kernels ---- */

/* out (count, dim): the normals of rows start ... start+count-1. A thread takes one block of every
   `slices`-th row. */
KERNEL(normals)(T *out, i64 count, i64 dim, u64 seed, u64 stream, u64 generation, i64 start,
                i64 slices)
{
    const i64 blocks = blocks_of(dim);
    for (i64 t = THREAD; t < blocks * slices; t += THREADS) {
        const i64 block = t % blocks, j = block * WIDTH;
        for (i64 i = t / blocks; i < count; i += slices) {
            T z[WIDTH];
            draw(z, start + i, block, dim, seed, stream, generation);
            store(out + i * dim + j, z, dim - j < WIDTH ? dim - j : WIDTH);
        }
    }
}

/* X (count, dim), unless null: mean + step z in double, rounded to T; squares (count, parts): the
   sum of z^2 over each part of a row, which is the `width` blocks of a group of threads;
   parts = ceil(ceil(dim / WIDTH) / width). A group takes one part of every `slices`-th row. */
KERNEL(sample)(T *X, double *squares, const double *__restrict__ mean,
               const double *__restrict__ step, i64 count, i64 dim, u64 seed, u64 stream,
               u64 generation, i64 start, int width, i64 slices)
{
    const i64 blocks = blocks_of(dim), parts = (blocks + width - 1) / width;
    for (i64 t = THREAD; t < width * parts * slices; t += THREADS) {
        const int lane = (int)(t % width);
        const i64 part = t / width % parts, block = part * width + lane, j = block * WIDTH;
        const i64 n = dim - j < WIDTH ? dim - j : WIDTH; /* <= 0: this thread has no coordinates */
        double m[WIDTH], s[WIDTH];
        UNROLL
        for (int k = 0; k < WIDTH; k++) {
            m[k] = X && k < n ? mean[j + k] : 0.0;
            s[k] = X && k < n ? step[j + k] : 0.0;
        }
        for (i64 i = t / width / parts; i < count; i += slices) {
            T z[WIDTH], x[WIDTH];
            double square = 0.0;
            draw(z, start + i, block, dim, seed, stream, generation);
            UNROLL
            for (int k = 0; k < WIDTH; k++) {
                x[k] = (T)(m[k] + s[k] * z[k]);
                square = k < n ? fma((double)z[k], (double)z[k], square) : square;
            }
            if (X)
                store(X + i * dim + j, x, n);
            GROUP_SUM(square, width);
            if (lane == 0)
                squares[i * parts + part] = square;
        }
    }
}

/* dz, zz (slabs, dim): the sums of w_mean z and of w_shape z^2 over the rows of each slab, which
   are ceil(count / slabs) neighbours. z is drawn again, not read; rows that weigh nothing are not
   even drawn. */
KERNEL(sums)(double *dz, double *zz, const double *__restrict__ w_mean,
             const double *__restrict__ w_shape, i64 slabs, i64 count, i64 dim, u64 seed,
             u64 stream, u64 generation, i64 start)
{
    const i64 blocks = blocks_of(dim), rows = (count + slabs - 1) / slabs;
    for (i64 t = THREAD; t < blocks * slabs; t += THREADS) {
        const i64 slab = t / blocks, block = t % blocks, j = block * WIDTH;
        const i64 end = (slab + 1) * rows < count ? (slab + 1) * rows : count;
        double first[WIDTH], second[WIDTH];
        UNROLL
        for (int k = 0; k < WIDTH; k++)
            first[k] = second[k] = 0.0;
        for (i64 i = slab * rows; i < end; i++) {
            const double a = w_mean[i], b = w_shape[i];
            T z[WIDTH];
            if (a == 0.0 && b == 0.0)
                continue;
            draw(z, start + i, block, dim, seed, stream, generation);
            UNROLL
            for (int k = 0; k < WIDTH; k++) {
                first[k] = fma(a, (double)z[k], first[k]);
                second[k] = fma(b * z[k], (double)z[k], second[k]);
            }
        }
        UNROLL
        for (int k = 0; k < WIDTH; k++)
            if (j + k < dim) {
                dz[slab * dim + j + k] = first[k];
                zz[slab * dim + j + k] = second[k];
            }
    }
}

/* out (rows), zero before: the fingerprints of the rows of X (rows, dim), as fingerprints.py
   defines them. A group of `width` threads takes one chunk of a row. `multipliers` are those of a
   whole chunk, if dim has one, followed by those of the rest, if there is one. */
KERNEL(prints)(u64 *out, const T *__restrict__ X, i64 rows, i64 dim,
               const u64 *__restrict__ multipliers, i64 chunk, int width)
{
    const i64 chunks = (dim + chunk - 1) / chunk;
    for (i64 t = THREAD; t < rows * chunks * width; t += THREADS) {
        const int lane = (int)(t % width);
        const i64 row = t / width / chunks, a = t / width % chunks * chunk;
        const i64 n = dim - a < chunk ? dim - a : chunk;
        const u64 *factor = multipliers + (n < chunk && a > 0 ? chunk : 0);
        const T *x = X + row * dim + a;
        u64 sum = 0;
        for (i64 j = lane; j < n; j += width) {
            const u64 bits = (u64)__double_as_longlong(widened(x[j]));
            sum += (bits ^ bits >> 29) * factor[j];
        }
        GROUP_SUM(sum, width);
        if (lane == 0)
            ADD(out + row, sum * (u64)(2 * a + 1));
    }
}
