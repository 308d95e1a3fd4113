/** Wait until React has rendered, which may take two frames. */
function drawn(): Promise<void> {
  return new Promise(resolve =>
    requestAnimationFrame(() => requestAnimationFrame(() => resolve()))
  );
}

/** Unfold a section of the panel and scroll it into view, if it exists. */
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
