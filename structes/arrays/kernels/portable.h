/* What C and CUDA spell differently. Stands before either source: NVRTC compiles them for a GPU, and
`cc -x c` for the CPU, where the tests compare them with NumPy, as a grid of one thread.

No expression may be contracted (--fmad=false, -ffp-contract=off): where a fused multiply-add is
wanted, the source says fma, so the two compilations differ in log, logf, exp and sincospif only, by
an ulp (and a float32 candidate below 2^-126 becomes 0, because CuPy compiles with -ftz=true). */

typedef long long i64;
typedef unsigned long long u64;
typedef unsigned int u32;

#ifdef __CUDACC__

#define KERNEL(name) extern "C" __global__ void __launch_bounds__(256) NAME(name)
#define KERNEL_OF_ONE_BLOCK(name) extern "C" __global__ void __launch_bounds__(1024) name
#define INLINE static __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#define THREAD ((i64)blockIdx.x * blockDim.x + threadIdx.x)
#define THREADS ((i64)gridDim.x * blockDim.x)
#define ADD(address, value) atomicAdd(address, value)

/* A float as a double; under -ftz=true a cast would take a subnormal one for zero. */
INLINE double widened(double x) { return x; }
INLINE double widened(float x)
{
    double y;
    asm("cvt.f64.f32 %0, %1;" : "=d"(y) : "f"(x));
    return y;
}

/* `value` becomes its sum over a group of `width` threads, which are 1, 2, 4, ... 32 neighbours in
   a warp and all come here. The order of the additions is fixed. */
#define GROUP_SUM(value, width)              \
    for (int gap = width / 2; gap; gap /= 2) \
    value += __shfl_xor_sync((~0u >> (32 - width)) << (threadIdx.x % 32 & -width), value, gap)

/* The sum of `value` over the block, whose threads are a multiple of 32 and all come here. */
INLINE double block_sum(double value)
{
    __shared__ double of_warp[32];
    GROUP_SUM(value, 32);
    __syncthreads(); /* whoever reads the sums of the last call has read them */
    if (threadIdx.x % 32 == 0)
        of_warp[threadIdx.x / 32] = value;
    __syncthreads();
    value = threadIdx.x % 32 < blockDim.x / 32 ? of_warp[threadIdx.x % 32] : 0.0;
    GROUP_SUM(value, 32);
    return value;
}

#else

#include <math.h>
#include <string.h>

#define KERNEL(name) void NAME(name)
#define KERNEL_OF_ONE_BLOCK(name) void name
#define INLINE static inline
#define UNROLL
#define THREAD 0
#define THREADS 1
#define ADD(address, value) (*(address) += (value))
#define widened(x) ((double)(x))
#define GROUP_SUM(value, width) /* width is 1 */
#define block_sum(value) (value)

INLINE u64 __umul64hi(u64 a, u64 b) { return (u64)((unsigned __int128)a * b >> 64); }

INLINE i64 __double_as_longlong(double x)
{
    i64 bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINE void sincospif(float x, float *s, float *c)
{
    *s = (float)sin(3.14159265358979323846 * x);
    *c = (float)cos(3.14159265358979323846 * x);
}

#endif
