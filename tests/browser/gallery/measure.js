/**
 * Measures what is drawn below an element: the boxes of its parts, and what is wrong for the eye.
 *
 * A part is an element with a class of the extension, or something that can be used. Boxes are relative
 * to the part around them and to the part before, so that fonts that differ a little move nothing far.
 */
selector => {
  const root = document.querySelector(selector);
  const PART = '[class*="jp-Sessions-"], button, input, select, .lm-Menu-item';
  const problems = [];
  const round = Math.round;
  const styles = new Map();
  const styleOf = element => {
    if (!styles.has(element)) {
      styles.set(element, getComputedStyle(element));
    }
    return styles.get(element);
  };
  const intersection = (a, b) => {
    const [left, top] = [Math.max(a.left, b.left), Math.max(a.top, b.top)];
    const [right, bottom] = [Math.min(a.right, b.right), Math.min(a.bottom, b.bottom)];
    return { left, top, right, bottom, width: right - left, height: bottom - top };
  };
  const isShown = element => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });

  /** The ancestors that cut off what does not fit, up to the root. */
  const clippers = element => {
    const found = [];
    for (let at = element; at; at = at === root ? null : at.parentElement) {
      if (styleOf(at).overflowX !== 'visible' || styleOf(at).overflowY !== 'visible' || at === root) {
        found.push(at);
      }
    }
    return found;
  };
  const seenThrough = element =>
    clippers(element.parentElement ?? element).reduce(
      (seen, at) => intersection(seen, at.getBoundingClientRect()),
      root.getBoundingClientRect()
    );

  const className = element =>
    [...element.classList].find(name => name.startsWith('jp-Sessions-'))?.slice('jp-Sessions-'.length);
  const labelOf = ({ dataset, name }) =>
    dataset.sessionName ?? dataset.group ?? dataset.field ?? dataset.kernelName ?? dataset.command ?? name;
  const nameOf = element => {
    const kind = className(element) ?? element.tagName.toLowerCase();
    const label = labelOf(element);
    return label ? `${kind}[${label}]` : kind;
  };

  const boxes = [];
  const visit = (element, path, parent) => {
    const counts = {};
    const siblings = [];
    let before = parent.top;
    const within = node => {
      for (const child of node.children) {
        if (child.matches(PART) && isShown(child) && !child.hidden) {
          one(child);
        } else if (isShown(child) && child.tagName !== 'svg') {
          within(child);
        }
      }
    };
    const one = child => {
      const box = child.getBoundingClientRect();
      const seen = intersection(box, seenThrough(child));
      if (seen.width <= 1 || seen.height <= 1) {
        return;
      }
      const name = nameOf(child);
      counts[name] = (counts[name] ?? 0) + 1;
      const at = `${path}/${name}${counts[name] > 1 ? counts[name] : ''}`;
      boxes.push([at, [box.left - parent.left, box.top - before, box.width, box.height].map(round)]);
      before = box.bottom;
      for (const [other, place] of siblings) {
        const shared = intersection(box, other);
        if (shared.width > 1 && shared.height > 1) {
          problems.push(`${at} overlaps ${place}`);
        }
      }
      siblings.push([box, at]);
      visit(child, at, box);
    };
    within(element);
  };
  visit(root, '', root.getBoundingClientRect());

  // Scroll boxes inside the one that scrolls
  const scrolling = [root, ...root.querySelectorAll('*')].filter(
    element =>
      /auto|scroll/.test(styleOf(element).overflowY) &&
      element.scrollHeight > element.clientHeight + 1 &&
      isShown(element) &&
      !element.matches('select, textarea')
  );
  for (const element of scrolling) {
    const box = element.getBoundingClientRect();
    const end = root.getBoundingClientRect().bottom;
    if (!/list|Dialog-body|fieldGroup/.test(element.className) || (className(element) === 'list' && end - box.bottom > 1)) {
      problems.push(`${nameOf(element)} (${element.className}) scrolls in ${round(box.height)} px`);
    }
  }

  // Text: cut off, or hard to read
  const channels = text => {
    const numbers = (text.match(/[\d.]+(e-?\d+)?/g) ?? []).map(Number);
    const scale = text.startsWith('color(srgb') ? 255 : 1;
    return { rgb: numbers.slice(0, 3).map(n => n * scale), alpha: numbers[3] ?? 1 };
  };
  const over = (top, alpha, below) => below.map((value, i) => top[i] * alpha + value * (1 - alpha));
  const behind = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const { rgb, alpha } = channels(styleOf(at).backgroundColor);
      layers.push([rgb, alpha]);
      if (alpha === 1) {
        break;
      }
    }
    return layers.reverse().reduce((below, [rgb, alpha]) => over(rgb, alpha, below), [255, 255, 255]);
  };
  const luminance = rgb => {
    const [r, g, b] = rgb.map(v => (v / 255 <= 0.03928 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const isOff = element =>
    element.closest('[aria-disabled="true"], :disabled, [data-stale="true"] .jp-Sessions-row, .lm-mod-disabled');

  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const text = texts.currentNode.data.trim();
    if (!text || !isShown(element) || element.closest('select, style')) {
      continue;
    }
    const range = document.createRange();
    range.selectNodeContents(texts.currentNode);
    const area = range.getBoundingClientRect();
    const shown = seenThrough(element);
    const inView = intersection(area, shown);
    if (inView.height < 1 || area.width < 1) {
      continue;
    }
    const cut = clippers(element).find(at => {
      const box = at.getBoundingClientRect();
      return area.right > box.right + 1 || area.left < box.left - 1;
    });
    if (cut) {
      const hasTitle = element.closest('[title]');
      if (styleOf(cut).textOverflow !== 'ellipsis' || !hasTitle) {
        problems.push(`'${text}' is cut off at the side by ${nameOf(cut)}`);
      }
      const row = cut.parentElement;
      const slack = [...row.children]
        .filter(child => child !== cut && child.tagName === 'SPAN' && child.textContent.trim())
        .reduce((sum, child) => {
          const inner = document.createRange();
          inner.selectNodeContents(child);
          return sum + child.getBoundingClientRect().width - inner.getBoundingClientRect().width;
        }, 0);
      if (slack > 8) {
        problems.push(`'${text}' is cut off where ${round(slack)} px are free`);
      }
    }
    const lid = clippers(element).find(at => {
      const box = at.getBoundingClientRect();
      const scrolls = /auto|scroll/.test(styleOf(at).overflowY);
      return !scrolls && at !== root && styleOf(at).overflowY !== 'visible' && area.bottom > box.bottom + 2;
    });
    if (lid && !scrolling.some(at => lid.contains(at))) {
      problems.push(`'${text}' is cut off below by ${nameOf(lid)}`);
    }
    const { rgb, alpha } = channels(styleOf(element).color);
    const ground = behind(element);
    const found = contrast(over(rgb, alpha, ground), ground);
    if (found < 4.5 && !isOff(element)) {
      problems.push(`'${text}' has a contrast of ${found.toFixed(2)}`);
    }
  }

  const isSeenWhole = row => {
    const box = row.getBoundingClientRect();
    return intersection(box, seenThrough(row)).height >= box.height - 1;
  };
  const rows = [...root.querySelectorAll('.jp-Sessions-row')];
  return {
    boxes: Object.fromEntries(boxes),
    problems: [...new Set(problems)],
    heights: rows.map(row => round(row.getBoundingClientRect().height)),
    seen: rows.filter(isSeenWhole).length
  };
}
