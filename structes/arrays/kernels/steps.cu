/* The step of a generation, where vectors are short: one block each, for the launches of the array
   operations would take longer than what they do. update.py says what is calculated, and why.
   All numbers are double. */

/* w (count): good + bad dim / squares; about: the sum of w, and half that of bad (dim / squares
   - 1). */
KERNEL_OF_ONE_BLOCK(stretch)(double *w, double *about, const double *__restrict__ good,
                             const double *__restrict__ bad, const double *__restrict__ squares,
                             i64 count, i64 dim)
{
    double sum = 0.0, more = 0.0;
    for (i64 i = THREAD; i < count; i += THREADS) {
        const double by = (double)dim / squares[i];
        w[i] = good[i] + bad[i] * by;
        sum += w[i];
        more += bad[i] * (by - 1.0);
    }
    sum = block_sum(sum);
    more = block_sum(more);
    if (THREAD == 0) {
        about[0] = sum;
        about[1] = 0.5 * more;
    }
}

/* The paths: path_sigma (dim) and q (dim), of which the latter waits while the former is longer
   than `wait`, squared. Returns that square. */
INLINE double walk(double *path_sigma_new, double *q, const double *path_sigma,
                   const double *path, const double *dz, i64 dim, double cs, double pull_sigma,
                   double cc, double pull, double wait)
{
    double square = 0.0;
    for (i64 j = THREAD; j < dim; j += THREADS) {
        const double p = (1.0 - cs) * path_sigma[j] + pull_sigma * dz[j];
        path_sigma_new[j] = p;
        square += p * p;
    }
    square = block_sum(square);
    if (square >= wait)
        pull = 0.0;
    for (i64 j = THREAD; j < dim; j += THREADS)
        q[j] = (1.0 - cc) * path[j] + pull * dz[j];
    return square;
}

/* mean_new (dim), path_sigma_new, q (noise_dim) and square (1) of the same without _new and of the
   sums dz (noise_dim) of w z and dy (dim) of w y; `far` is sigma times the learning rate. */
KERNEL_OF_ONE_BLOCK(paths)(double *mean_new, double *path_sigma_new, double *q, double *square,
                           const double *__restrict__ mean, const double *__restrict__ path_sigma,
                           const double *__restrict__ path, const double *__restrict__ scale,
                           const double *__restrict__ dz, const double *__restrict__ dy, i64 dim,
                           i64 noise_dim, double far, double cs, double pull_sigma, double cc,
                           double pull, double wait)
{
    for (i64 j = THREAD; j < dim; j += THREADS)
        mean_new[j] = mean[j] + far * scale[j] * dy[j];
    const double sum =
        walk(path_sigma_new, q, path_sigma, path, dz, noise_dim, cs, pull_sigma, cc, pull, wait);
    if (THREAD == 0)
        *square = sum;
}

/* All of a step where B = diag(b): mean_new, path_sigma_new, path_new, b_new (dim) of the same
   without _new, of dz (dim), of the samples' natural gradient m (dim), to which that of the path is
   added, with the weight c1, and of their identity (1); `rate` multiplies the natural gradient, and
   the norm of a step is at most `longest`. numbers (4): the square of path_sigma_new, the trace of
   M over dim, the norm of the rest, and the identity. */
KERNEL_OF_ONE_BLOCK(stride)(double *mean_new, double *path_sigma_new, double *path_new,
                            double *b_new, double *numbers, const double *__restrict__ mean,
                            const double *__restrict__ path_sigma,
                            const double *__restrict__ path, const double *__restrict__ b,
                            const double *__restrict__ scale, const double *__restrict__ dz,
                            const double *__restrict__ m, const double *__restrict__ identity,
                            i64 dim, double far, double cs, double pull_sigma, double cc,
                            double pull, double wait, double c1, double rate, double longest)
{
    double sum = 0.0, shape = 0.0;
    for (i64 j = THREAD; j < dim; j += THREADS)
        mean_new[j] = mean[j] + far * scale[j] * (dz[j] / b[j]);
    const double square =
        walk(path_sigma_new, path_new, path_sigma, path, dz, dim, cs, pull_sigma, cc, pull, wait);
    for (i64 j = THREAD; j < dim; j += THREADS) { /* a thread reads what it has written itself */
        b_new[j] = rate * (m[j] - 0.5 * (c1 * (path_new[j] * path_new[j]) - c1));
        sum += b_new[j];
    }
    const double center = block_sum(sum) / (double)dim;
    for (i64 j = THREAD; j < dim; j += THREADS) {
        b_new[j] -= center;
        shape += b_new[j] * b_new[j];
    }
    shape = sqrt(block_sum(shape));
    const double same = rate * *identity, s = center - same;
    const double norm = sqrt(shape * shape + (double)dim * s * s);
    const double shorter = norm > longest ? longest / norm : 1.0, grown = exp(s * shorter);
    for (i64 j = THREAD; j < dim; j += THREADS) {
        const double x = shorter * b_new[j], h = 1.0 + x + 0.5 * x * x;
        b_new[j] = b[j] * h;
        path_new[j] = grown * (path_new[j] * h);
    }
    if (THREAD == 0) {
        numbers[0] = square;
        numbers[1] = center;
        numbers[2] = shape;
        numbers[3] = same;
    }
}
