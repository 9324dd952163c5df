"""Draws a network as SVG: its blocks from left to right, in rows, with their figures beneath.

What a block is shows its shape, its class and the word under it, never its colour alone. The picture has no
`style`, which the pages' Content-Security-Policy refuses: colours are `currentColor`, which a style sheet
gives by class; alone, the picture is of a grey that is read on white and on black.
"""

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from cnnctl.views.networks import NetworkView
from service.web.network_blocks import Block, Stage, format_shape, list_stages
from service.web.words import short

GREY = "#767676"  # 4.5 to 1 on white as on black
MARGIN, GUTTER, CELL, LINE = 8, 92, 82, 15  # pixels
FONT, LETTER, BOLD = 12, 6.0, 6.6  # size of the letters, and about their widths
LOWEST, HIGHEST, NARROWEST, WIDEST = 8.0, 110.0, 6.0, 62.0  # of blocks
LONGEST_NAME = 22
BRACKET, GAP = 28, 16  # above the blocks of a row, and between rows
FIGURES = ("output", "parameters", "multiply-adds", "field")
LEGEND = (
    "Height follows the side of the feature maps on a square-root scale, width the channels or units on a "
    "logarithmic one. Above are stages of one spatial size, each ended by its pool. Field: the side, in "
    "pixels, of what one output sees. An activation is part of the block before it."
)
# How a block of each class is outlined and filled; a pool is narrower on its right.
LOOKS = {
    "image": 'fill="none" stroke-width="2"',
    "conv": 'fill="currentColor" fill-opacity="0.3"',
    "dense": 'fill="currentColor" fill-opacity="0.7"',
    "pool": 'fill="currentColor" fill-opacity="0.1"',
    "norm": 'fill="none" stroke-dasharray="6 2"',
    "dropout": 'fill="none" stroke-dasharray="1.5 2.5"',
    "group": 'fill="currentColor" fill-opacity="0.3" stroke-width="2"',
}
PLAIN = 'fill="none"'
LINES = 'fill="none" stroke="currentColor" stroke-opacity="0.5"'


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """The largest side and the most channels of a network."""

    side: int
    channels: int

    def height(self, block: Block) -> float:
        side = max(block.sides, default=1)
        return max(LOWEST, HIGHEST * math.sqrt(side / self.side))

    def width(self, block: Block) -> float:
        return max(NARROWEST, WIDEST * math.log1p(block.channels) / math.log1p(self.channels))


def draw_network(view: NetworkView, *, width: int) -> str:
    """A network as the text of an SVG of this width, in pixels; its height follows from its length."""
    stages = list_stages(view)
    blocks = [block for stage in stages for block in stage.blocks]
    scale = _Scale(
        side=max(max(block.sides, default=1) for block in blocks),
        channels=max(block.channels for block in blocks),
    )
    rows = _break(stages, per_row=max(1, (width - GUTTER - 2 * MARGIN) // CELL))
    y, parts = float(MARGIN), []
    for row in rows:
        drawn, height = _draw_row(row, scale, y=y, ends=row is rows[-1])
        parts += drawn
        y += height + GAP
    for line in textwrap.wrap(LEGEND, max(20, int((width - 2 * MARGIN) / LETTER))):
        y += LINE
        parts.append(_text(MARGIN, y, line, kind="legend", anchor="start", room=width - 2 * MARGIN))
    return _wrap(view, blocks, parts, width=width, height=math.ceil(y + MARGIN))


def _break(stages: Sequence[Stage], *, per_row: int) -> Sequence[Sequence[Stage]]:
    """The same blocks in rows; a stage that does not fit into one goes on in the next."""
    rows: list[list[Stage]] = [[]]
    for stage in stages:
        left = stage.blocks
        while left:
            room = per_row - sum(len(one.blocks) for one in rows[-1])
            if not room:
                rows.append([])
                continue
            rows[-1].append(Stage(sides=stage.sides, blocks=left[:room]))
            left = left[room:]
    return rows


def _draw_row(row: Sequence[Stage], scale: _Scale, *, y: float, ends: bool) -> tuple[list[str], float]:
    """The parts of a row whose top is at `y`, and its height."""
    blocks = [block for stage in row for block in stage.blocks]
    tallest = max(map(scale.height, blocks))
    axis, below = y + BRACKET + tallest / 2, y + BRACKET + tallest + LINE
    parts = [*_draw_brackets(row, y=y), *_draw_gutter(below)]
    for number, block in enumerate(blocks):
        middle = MARGIN + GUTTER + (number + 0.5) * CELL
        parts.append(_draw_block(block, scale, x=middle, axis=axis, below=below))
        following = blocks[number + 1 : number + 2]
        if following or not ends:
            start, width = (
                middle + scale.width(block) / 2 + 2,
                max(map(scale.width, following), default=WIDEST),
            )
            parts.append(_draw_arrow(start, middle + CELL - width / 2 - 2, axis=axis))
    return parts, BRACKET + tallest + LINE * (2 + len(FIGURES))


def _draw_arrow(start: float, end: float, *, axis: float) -> str:
    path = f"M{start:.1f} {axis:.1f}H{end:.1f}m-4 -3l4 3l-4 3"
    return f'<path class="flow" d="{path}" {LINES}/>'


def _draw_brackets(row: Sequence[Stage], *, y: float) -> Iterator[str]:
    x = MARGIN + GUTTER
    for stage in row:
        end = x + len(stage.blocks) * CELL
        label = format_shape(stage.sides) or "features"
        path = f"M{x + 4} {y + 21:.1f}v-4H{end - 4}v4"
        yield f'<path class="stage" d="{path}" {LINES}/>'
        yield _text((x + end) / 2, y + 12, label, kind="stage", room=end - x - 4)
        x = end


def _draw_gutter(below: float) -> Iterator[str]:
    for number, words in enumerate(FIGURES, start=2):
        yield _text(MARGIN, below + number * LINE, words, kind="figure", anchor="start", room=GUTTER - 4)


def _draw_block(block: Block, scale: _Scale, *, x: float, axis: float, below: float) -> str:
    """A block around (x, axis), its name, its word and its figures."""
    name = block.name if len(block.name) <= LONGEST_NAME else f"{block.name[: LONGEST_NAME - 1]}…"
    word = block.word if block.repeats == 1 else f"{block.repeats} × {block.word}"
    field = "" if block.receptive_field is None else str(block.receptive_field)
    figures = [short(count) if count else "–" for count in (block.parameters, block.macs)]
    lines = [word, format_shape(block.output_shape), *figures, field or "–"]
    texts = [_text(x, below, name, kind="name", weight=' font-weight="bold"')]
    texts += [_text(x, below + n * LINE, line, kind="figure") for n, line in enumerate(lines, start=1)]
    hint = f"<title>{escape(', '.join(block.layers) or block.name)}</title>"
    outline = _outline(block, x=x, axis=axis, width=scale.width(block), height=scale.height(block))
    return f'<g class="layer {block.kind}">{hint}{outline}{"".join(texts)}</g>'


def _outline(block: Block, *, x: float, axis: float, width: float, height: float) -> str:
    look = f'stroke="currentColor" {LOOKS.get(block.kind, PLAIN)}'
    left, right, top = x - width / 2, x + width / 2, axis - height / 2
    if block.kind == "pool":
        inset = height / 6
        path = f"M{left:.1f} {top:.1f}L{right:.1f} {top + inset:.1f}V{axis + height / 2 - inset:.1f}"
        return f'<path class="block" d="{path}L{left:.1f} {axis + height / 2:.1f}Z" {look}/>'
    stack = ""
    if block.kind == "group" or block.repeats > 1:
        stack = (
            f'<path class="stack" d="M{left + 4:.1f} {top - 4:.1f}H{right + 4:.1f}v{height:.1f}" {LINES}/>'
        )
    box = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'{stack}<rect class="block" {box} rx="2" {look}/>'


def _text(
    x: float,
    y: float,
    words: str,
    *,
    kind: str,
    anchor: str = "middle",
    room: float = CELL - 4,
    weight: str = "",
) -> str:
    """One line of text, squeezed where it would leave its room."""
    fits = len(words) * (BOLD if weight else LETTER) <= room
    squeezed = "" if fits else f' textLength="{room:.0f}" lengthAdjust="spacingAndGlyphs"'
    align = "" if anchor == "middle" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{align}{weight}{squeezed}>{escape(words)}</text>'


def _wrap(
    view: NetworkView, blocks: Sequence[Block], parts: Sequence[str], *, width: int, height: int
) -> str:
    totals = f"{short(view.total_parameters)} parameters, {short(view.total_macs)} multiply-adds"
    title = f"{view.architecture} for images of {format_shape(view.input_shape)}: {totals} an image"
    said = ". ".join(f"{one.name}: {one.word}, {format_shape(one.output_shape)}" for one in blocks)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    ink = f'color="{GREY}" fill="currentColor" stroke="none" font-family="sans-serif" font-size="{FONT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="network" role="img" aria-label={quoteattr(title)} '
        f'{size} {ink} text-anchor="middle">\n<title>{escape(title)}</title>\n<desc>{escape(said)}</desc>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
