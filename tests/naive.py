"""Slow, independent twins, transcribed from papers and from measured figures, never from optlab.

Each rule here is a generator in the notation of its source: ``send(g)`` gives it the gradient at the present point
and yields the next point. Nothing is shared between them, so that one mistake stays in one place.
"""

import numpy as np


def walk(rule, start, gradient, steps):
    """Positions (steps + 1, n) of a generator of this module, from ``start``, under ``gradient(x, t)``."""
    x = np.array(start)
    path = [x]
    next(rule)
    for t in range(steps):
        x = rule.send((x, gradient(x, t)))
        path.append(x)
    return np.array(path)


# --- papers ---------------------------------------------------------------------------------------------------------


def robbins_monro(lr):
    """Robbins & Monro 1951, eq. 8."""
    x = None
    while True:
        x, g = yield x
        x = x - lr * g


def polyak(lr, beta):
    """Polyak 1964, eq. 9: x_{k+1} = x_k - a grad f(x_k) + b (x_k - x_{k-1}); positions only, no velocity."""
    x, g = yield
    before = x
    while True:
        before, new = x, x - lr * g + beta * (x - before)
        x, g = yield new


def sutskever(lr, mu, gradient):
    """Sutskever et al. 2013, eq. 3-4: v = mu v - e grad f(theta + mu v), theta += v; yields theta + mu v.

    The stored point of every library's Nesterov is this look-ahead. The textbook form asks for the gradient where it
    likes, so it is given the function; the gradient sent to it is ignored.
    """
    look, _ = yield
    theta, v = look, 0.0 * look
    while True:
        v = mu * v - lr * gradient(theta + mu * v)
        theta = theta + v
        yield theta + mu * v


def duchi(lr, delta):
    """Duchi, Hazan & Singer 2011, figure 1: H_t = delta I + diag(|g_{1:t,i}|_2), x -= eta H^-1 g (no projection)."""
    history = []
    x = None
    while True:
        x, g = yield x
        history.append(g)
        s = np.array([np.linalg.norm(column) for column in np.array(history).T])
        x = x - lr / (delta + s) * g


def zeiler(rho, eps):
    """Zeiler 2012, algorithm 1."""
    x, g = yield
    Eg2, Edx2 = np.zeros_like(x), np.zeros_like(x)
    while True:
        Eg2 = rho * Eg2 + (1 - rho) * g**2
        dx = -np.sqrt(Edx2 + eps) / np.sqrt(Eg2 + eps) * g
        Edx2 = rho * Edx2 + (1 - rho) * dx**2
        x, g = yield x + dx


def tieleman_hinton(lr, momentum, eps):
    """Lecture 6e, slide 29: MeanSquare = 0.9 MeanSquare + 0.1 grad^2, the gradient over its root; momentum on top.

    The velocity holds the step itself (Graves 2013, eq. 40). The slide has no epsilon.
    """
    x, g = yield
    mean_square, delta = 0 * x, 0 * x
    while True:
        mean_square = 0.9 * mean_square + 0.1 * g**2
        delta = momentum * delta - lr * g / (np.sqrt(mean_square) + eps)
        x, g = yield x + delta


def graves(lr, alpha, momentum, eps):
    """Graves 2013, eq. 38-41: n, g, Delta; the variance n - g^2 with epsilon under the root."""
    w, e = yield
    n, g, delta = 0 * w, 0 * w, 0 * w
    while True:
        n = alpha * n + (1 - alpha) * e**2
        g = alpha * g + (1 - alpha) * e
        delta = momentum * delta - lr * e / np.sqrt(n - g**2 + eps)
        w, e = yield w + delta


def kingma_ba(alpha, beta1, beta2, eps):
    """Kingma & Ba 2015, algorithm 1."""
    theta, g = yield
    m, v, t = 0 * theta, 0 * theta, 0
    while True:
        t += 1
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        theta, g = yield theta - alpha * m_hat / (np.sqrt(v_hat) + eps)


def kingma_ba_reordered(alpha, beta1, beta2, eps_hat):
    """The same paper, end of section 2: alpha_t = alpha sqrt(1 - b2^t) / (1 - b1^t), and an epsilon of its own."""
    theta, g = yield
    m, v, t = 0 * theta, 0 * theta, 0
    while True:
        t += 1
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        alpha_t = alpha * np.sqrt(1 - beta2**t) / (1 - beta1**t)
        theta, g = yield theta - alpha_t * m / (np.sqrt(v) + eps_hat)


def kingma_ba_infinity(alpha, beta1, beta2):
    """The same paper, algorithm 2 (AdaMax); no epsilon."""
    theta, g = yield
    m, u, t = 0 * theta, 0 * theta, 0
    while True:
        t += 1
        m = beta1 * m + (1 - beta1) * g
        u = np.maximum(beta2 * u, np.abs(g))
        theta, g = yield theta - (alpha / (1 - beta1**t)) * m / u


def loshchilov_hutter(alpha, beta1, beta2, eps, decay):
    """Loshchilov & Hutter 2019, algorithm 2, the decoupled term times the rate as in every library."""
    theta, g = yield
    m, v, t = 0 * theta, 0 * theta, 0
    while True:
        t += 1
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        theta, g = yield theta - alpha * m_hat / (np.sqrt(v_hat) + eps) - alpha * decay * theta


def reddi(alpha, beta1, beta2):
    """Reddi, Kale & Kumar 2018, algorithm 2 with a constant rate; no correction, no epsilon, no projection."""
    x, g = yield
    m, v, v_hat = 0 * x, 0 * x, 0 * x
    while True:
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        v_hat = np.maximum(v_hat, v)
        x, g = yield x - alpha * m / np.sqrt(v_hat)


def dozat(eta, mu, nu, eps, psi):
    """Dozat 2016, algorithm 8 with mu_t = mu (1 - 0.5 x 0.96^(t psi)); products taken afresh at every step."""
    theta, g = yield
    m, n, t = 0 * theta, 0 * theta, 0

    def mus(last):
        return mu * (1 - 0.5 * 0.96 ** (np.arange(1, last + 1) * psi))

    while True:
        t += 1
        m = mu * m + (1 - mu) * g
        n = nu * n + (1 - nu) * g**2
        g_hat = g / (1 - np.prod(mus(t)))
        m_hat = m / (1 - np.prod(mus(t + 1)))
        n_hat = n / (1 - nu**t)
        m_bar = (1 - mus(t)[-1]) * g_hat + mus(t + 1)[-1] * m_hat
        theta, g = yield theta - eta * m_bar / (np.sqrt(n_hat) + eps)


def chen(eta, beta1, beta2, decay):
    """Chen et al. 2023, algorithm 2."""
    theta, g = yield
    m = 0 * theta
    while True:
        c = beta1 * m + (1 - beta1) * g
        new = theta - eta * (np.sign(c) + decay * theta)
        m = beta2 * m + (1 - beta2) * g
        theta, g = yield new


# --- the two published animations (figures.md, "contours": forms fitted to their pixels) ------------------------------


def cs231n_momentum(a, m):
    """v = m v - a g; x += v."""
    x, g = yield
    v = 0 * x
    while True:
        v = m * v - a * g
        x, g = yield x + v


def cs231n_nag(a, m):
    """v = m v - a g; x += m v - a g."""
    x, g = yield
    v = 0 * x
    while True:
        v = m * v - a * g
        x, g = yield x + m * v - a * g


def cs231n_adagrad(a, e):
    """c += g^2; x -= a g / sqrt(c + e)."""
    x, g = yield
    c = 0 * x
    while True:
        c = c + g * g
        x, g = yield x - a * g / np.sqrt(c + e)


def cs231n_adadelta(a, r, e):
    """c = r c + (1-r) g^2; s = a g sqrt(d + e) / sqrt(c + e); x -= s; d = r d + (1-r) s^2."""
    x, g = yield
    c, d = 0 * x, 0 * x
    while True:
        c = r * c + (1 - r) * g * g
        s = a * g * np.sqrt(d + e) / np.sqrt(c + e)
        d = r * d + (1 - r) * s * s
        x, g = yield x - s


def cs231n_rmsprop(a, r, e):
    """c = r c + (1-r) g^2; x -= a g / sqrt(c + e)."""
    x, g = yield
    c = 0 * x
    while True:
        c = r * c + (1 - r) * g * g
        x, g = yield x - a * g / np.sqrt(c + e)


def epsilon_inside(a, b1, b2, e, decay=0.0, largest=False):
    """Adam with the animations' epsilon (figures.md, adam-eps, c): x -= a m~ / sqrt(v~ + e)."""
    x, g = yield
    m, v, top, t = 0 * x, 0 * x, 0 * x, 0
    while True:
        t += 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        top = np.maximum(top, v) if largest else v
        x, g = yield x - a * decay * x - a * (m / (1 - b1**t)) / np.sqrt(top / (1 - b2**t) + e)


# --- surfaces of the figures ----------------------------------------------------------------------------------------


def beale_gradient(p):
    """Gradient of Beale's function, written out in figures.md."""
    x, y = p
    r1, r2, r3 = 1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3
    dx = 2 * r1 * (y - 1) + 2 * r2 * (y**2 - 1) + 2 * r3 * (y**3 - 1)
    dy = 2 * x * r1 + 4 * x * y * r2 + 6 * x * y**2 * r3
    return np.array([dx, dy])
