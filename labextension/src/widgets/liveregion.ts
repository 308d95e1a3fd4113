import { Widget } from '@lumino/widgets';

/** How long an announcement stays readable. */
const STAY_MS = 5000;

/** An invisible region whose text screen readers announce. */
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
