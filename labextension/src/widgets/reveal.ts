/** Until what was asked of React is drawn; it may take two frames. */
function drawn(): Promise<void> {
  return new Promise(resolve =>
    requestAnimationFrame(() => requestAnimationFrame(() => resolve()))
  );
}

/** Unfold a section of the panel and bring it into view, if it is there. */
export async function revealSection(
  panel: HTMLElement,
  name: string
): Promise<void> {
  await drawn();
  const section = panel.querySelector(`[data-group="${name}"]`);
  section?.querySelector<HTMLButtonElement>('[aria-expanded="false"]')?.click();
  await drawn();
  section?.scrollIntoView({ block: 'nearest' });
}
