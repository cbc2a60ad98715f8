"""Printed digits or letters of 28 by 28 pixels from matplotlib's own fonts: MNIST's shape, no download."""

from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np

from optlab.data.dataset import Dataset
from optlab.data.splits import RENDER, balanced, generator
from optlab.errors import DataError, unknown

CLASSES = {"digits": tuple("0123456789"), "letters": tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique", "DejaVuSansMono",
    "DejaVuSansMono-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta", "cmr10", "cmb10", "cmss10", "cmtt10",
    "cmti10",
)  # fmt: skip
SIDE = 28
PAGE = 36  # side of the sheet that a letter is drawn on, for the widest W
FINE = 3  # a letter is drawn this many times larger, so that turning it leaves smooth edges
INK = 18  # height in pixels of a capital letter before distortion
BATCH = 1000
ROTATION, SHEAR, GROWTH, SHIFT = 0.25, 0.25, 0.25, 2.0  # radians, tangent, log of the factor, pixels: each way
NOISE = 0.12  # largest standard deviation of a picture's noise


def glyphs(n: int = 10_000, seed: int = 0, classes: str = "digits") -> Dataset:
    """n pictures (28, 28), light on dark: a random font, turned, sheared, scaled, shifted, fainter or noisier.

    Trained on 8,000 and tested on 2,000 digits, scikit-learn's logistic regression (C=0.01) is right in 0.86, its
    MLPClassifier((64,)) after 20 epochs in 0.94. Classes are "digits" (10) or "letters" (26 capitals), each as often as
    the others within one. The same n, seed and versions of Pillow and matplotlib give the same bits.

    Raises:
        ConfigError: unknown classes, a bad n or seed.
        DataError: matplotlib's fonts are not there.

    Example:
        >>> glyphs(n=100)
        Dataset(glyphs: 100 pictures of 28x28, 10 classes, float32)
    """
    if classes not in CLASSES:
        raise unknown("classes", classes, CLASSES)
    names = CLASSES[classes]
    random = generator(seed, RENDER)
    y = balanced(n, len(names), random)
    masters = _masters(names)
    x = np.empty((n, SIDE * SIDE), np.float32)
    for start in range(0, n, BATCH):
        part = slice(start, start + BATCH)
        font = random.integers(len(FONTS), size=len(y[part]))
        pictures = _distorted(masters, font, y[part], random)
        pictures *= random.uniform(0.6, 1.0, (len(font), 1))
        pictures += NOISE * random.uniform(0.0, 1.0, (len(font), 1)) * random.standard_normal(pictures.shape)
        # Whole grey levels: a last bit of a sine that differs between machines does not reach the data.
        x[part] = np.rint(255 * pictures.clip(0, 1)) / 255
    return Dataset("glyphs" if classes == "digits" else f"glyphs-{classes}", x, y, names, (SIDE, SIDE), n)


def _masters(names: tuple[str, ...]) -> np.ndarray:
    """(fonts, classes, side, side): every letter in every font, centred, large, ink from 0 to 1."""
    from PIL import Image, ImageDraw, ImageFont

    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise DataError("the glyphs are drawn from matplotlib's fonts, which is not installed: pip install matplotlib")
    folder = Path(spec.origin).parent / "mpl-data/fonts/ttf"
    side = FINE * PAGE
    masters = np.empty((len(FONTS), len(names), side, side), np.float32)
    for f, font in enumerate(FONTS):
        try:
            # BASIC places a letter without libraqm, which not every Pillow has.
            data = (folder / f"{font}.ttf").read_bytes()  # by path, Pillow would fall back on the system's fonts
            face = ImageFont.truetype(BytesIO(data), 100, layout_engine=ImageFont.Layout.BASIC)
            _, top, _, bottom = face.getbbox("H")
            face = face.font_variant(BytesIO(data), size=round(100 * FINE * INK / (bottom - top)))
        except OSError as error:
            raise DataError(f"{folder / font}.ttf can't be read; install matplotlib again ({error})") from None
        for c, name in enumerate(names):
            left, top, right, bottom = face.getbbox(name)
            page = Image.new("L", (side, side))
            ImageDraw.Draw(page).text(((side - left - right) / 2, (side - top - bottom) / 2), name, 255, face)
            masters[f, c] = np.asarray(page, np.float32) / 255
    return masters


def _distorted(masters: np.ndarray, font: np.ndarray, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(m, pixels): each pixel is the mean of FINE x FINE nearest points of the large letter, mapped back."""
    m, side = len(y), masters.shape[-1]
    angle, shear = random.uniform(-ROTATION, ROTATION, m), random.uniform(-SHEAR, SHEAR, m)
    growth = np.exp(random.uniform(-GROWTH, GROWTH, (2, m)))
    shift = random.uniform(-SHIFT, SHIFT, (2, m))
    cos, sin = np.cos(angle), np.sin(angle)
    # From a point of the picture to one of the letter: shift, turn, shear, shrink.
    matrix = np.array([[cos, sin], [-sin + shear * cos, cos + shear * sin]]) / growth[:, None]
    points = np.arange(FINE * SIDE) - (FINE * SIDE - 1) / 2
    across, down = points - FINE * shift[..., None]
    at = []
    for along_x, along_y in matrix[::-1]:  # the letter's rows, then its columns
        place = (along_y[:, None] * down + (side - 1) / 2)[:, :, None] + (along_x[:, None] * across)[:, None, :]
        at.append(np.rint(place, out=place).clip(0, side - 1, out=place).astype(np.int32))  # the page's rim is empty
    ink = masters[font[:, None, None], y[:, None, None], at[0], at[1]]
    pictures: np.ndarray = ink.reshape(m, SIDE, FINE, SIDE, FINE).mean((2, 4), dtype=np.float64)
    return pictures.reshape(m, -1)
