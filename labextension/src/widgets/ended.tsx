import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

/** A remedy for an ended session. */
export interface IRemedy {
  label: string;
  act: () => Promise<void>;
}

interface IEndedProps {
  message: string;

  /** The first remedy is the default. */
  remedies: readonly IRemedy[];
  dismissLabel: string;
  onDismiss: () => void;
}

/** The reason of an end, and remedies. */
function Ended(props: IEndedProps): JSX.Element {
  const { message, remedies, dismissLabel, onDismiss } = props;
  const [isBusy, setBusy] = React.useState(false);
  const run = (act: () => Promise<void>): void => {
    setBusy(true);
    void act().finally(() => setBusy(false));
  };
  return (
    <div className="jp-Sessions-notice" role="alert" aria-busy={isBusy}>
      <span className="jp-Sessions-noticeText">{message}</span>
      <span className="jp-Sessions-noticeActions">
        {remedies.map(({ label, act }, place) => (
          <button
            key={label}
            className={`jp-mod-styled ${place === 0 ? 'jp-mod-accept' : 'jp-mod-reject'}`}
            disabled={isBusy}
            onClick={() => run(act)}
          >
            {label}
          </button>
        ))}
        <button
          className="jp-mod-styled jp-mod-minimal"
          disabled={isBusy}
          onClick={onDismiss}
        >
          {dismissLabel}
        </button>
      </span>
    </div>
  );
}

/** The notice above a notebook whose session has ended. */
export class EndedNotice extends ReactWidget {
  constructor(private readonly _props: IEndedProps) {
    super();
  }

  override dispose(): void {
    this._observer.disconnect();
    super.dispose();
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    void this.renderPromise?.then(() => {
      const notice = this.node.firstElementChild;
      if (notice) {
        this._observer.observe(notice);
      }
    });
  }

  protected override render(): JSX.Element {
    return <Ended {...this._props} />;
  }

  /** Set the minimal height, because Lumino does not know what React renders. */
  private _fit(): void {
    const height = this.node.firstElementChild?.clientHeight ?? 0;
    this.node.style.minHeight = `${height + 1}px`;
    this.parent?.fit();
  }

  private readonly _observer = new ResizeObserver(() => this._fit());
}
