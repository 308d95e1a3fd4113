import { Widget } from '@lumino/widgets';

/** How long words stay for those who come upon them by reading on. */
const STAY_MS = 5000;

/** Words that are only heard: screen readers say them when they have time. */
export class LiveRegion extends Widget {
  constructor() {
    super();
    this.addClass('jp-Sessions-liveRegion');
    this.node.setAttribute('role', 'status');
    this.node.setAttribute('aria-live', 'polite');
  }

  say(words: string): void {
    clearTimeout(this._timer);
    this.node.textContent = words;
    this._timer = window.setTimeout(() => {
      this.node.textContent = '';
    }, STAY_MS);
  }

  override dispose(): void {
    clearTimeout(this._timer);
    super.dispose();
  }

  private _timer = 0;
}
