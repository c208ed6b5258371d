/** Lines over time on a canvas, in the page's colours. */

/** Points of one line; older ones fall out. */
export const pointsMax = 150;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{ colour: string, values: (number | undefined)[] }[]} lines colour is the name of a CSS variable; where a
 *   value is undefined the line has a gap
 * @param {(value: number) => string} format of the scale
 */
export function drawLines(canvas, lines, format) {
  const { context, width, height } = prepared(canvas);
  const style = getComputedStyle(canvas);
  const highest = Math.max(...lines.flatMap(({ values }) => values.filter(isKnown)), 0);
  const top = highest > 0 ? highest * 1.15 : 1;
  context.fillStyle = style.getPropertyValue("--soft");
  context.strokeStyle = style.getPropertyValue("--line");
  context.font = "12px system-ui, sans-serif";
  for (const share of [0, 0.5, 1]) {
    const y = height - 1 - share * (height - 16);
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(width, y);
    context.stroke();
    if (share > 0) context.fillText(format(top * share), 2, y - 3);
  }
  for (const { colour, values } of lines) {
    context.strokeStyle = style.getPropertyValue(colour);
    context.lineWidth = 2;
    context.beginPath();
    values.forEach((value, i) => {
      if (!isKnown(value)) return;
      const x = width - (values.length - 1 - i) * (width / (pointsMax - 1));
      const y = height - 1 - (value / top) * (height - 16);
      if (isKnown(values[i - 1])) context.lineTo(x, y);
      else context.moveTo(x - 2, y);
      context.lineTo(x, y);
    });
    context.stroke();
  }
}

const isKnown = (value) => value !== undefined;

/** An empty canvas with as many pixels as the screen has there. */
export function prepared(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  const context = canvas.getContext("2d");
  context.scale(devicePixelRatio, devicePixelRatio);
  return { context, width, height };
}
