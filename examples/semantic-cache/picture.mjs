/** Lines over a share from `x.min` to 1 and up to a share of `y.max`, as an SVG that needs nothing else. */
const size = { width: 760, height: 460 };
const frame = { left: 70, right: 730, top: 60, bottom: 400 };
const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1];

/** @param series `{ name, colour, points: [x, y][] }` each */
export function drawPicture({ title, x, y, series }) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" role="img">
<title>${title}</title>
<style>text { font: 13px "DejaVu Sans", sans-serif; fill: #333 } .middle { text-anchor: middle }</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${size.width / 2}" y="24" class="middle" style="font-weight: bold">${title}</text>
${ticks.map(gridOf(x, y)).join("\n")}
<text x="${(frame.left + frame.right) / 2}" y="${frame.bottom + 44}" class="middle">${x.name}</text>
<text transform="translate(20 ${(frame.top + frame.bottom) / 2}) rotate(-90)" class="middle">${y.name}</text>
${series.map((each, at) => lineOf(each, at, x, y)).join("\n")}
</svg>
`;
}

const across = (share, { min }) =>
  round(frame.left + ((share - min) / (1 - min)) * (frame.right - frame.left));
const upwards = (share, { max }) => round(frame.bottom - (share / max) * (frame.bottom - frame.top));
const round = (value) => Math.round(value * 10) / 10;

const gridOf = (x, y) => (part) => {
  const share = x.min + part * (1 - x.min);
  const level = upwards(part * y.max, y);
  const percent = (value) => `${Math.round(value * 100)} %`;
  return `<path d="M${frame.left} ${level}H${frame.right}" stroke="#ddd"/>
<text x="${frame.left - 8}" y="${level + 4}" text-anchor="end">${percent(part * y.max)}</text>
<text x="${across(share, x)}" y="${frame.bottom + 20}" class="middle">${percent(share)}</text>`;
};

function lineOf({ name, colour, points }, at, x, y) {
  const placed = points.map(([share, height]) => `${across(share, x)} ${upwards(height, y)}`);
  const dots = placed.map((place) => {
    const [cx, cy] = place.split(" ");
    return `<circle cx="${cx}" cy="${cy}" r="4" fill="${colour}"/>`;
  });
  return `<path d="M${placed.join("L")}" fill="none" stroke="${colour}" stroke-width="2.5"/>
${dots.join("")}
<circle cx="${frame.left + 24}" cy="${frame.top + 10 + at * 22}" r="5" fill="${colour}"/>
<text x="${frame.left + 36}" y="${frame.top + 14 + at * 22}">${name}</text>`;
}
