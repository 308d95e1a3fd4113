import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { type Phase, phaseOf } from './status';
import { keyOf } from './store';
import type { ISessionsModel } from './tokens';

/** How long changes are collected before they are announced. */
const DELAY_MS = 1000;

/** With more changes than this, sessions are counted instead of named. */
const NAMED = 3;

/** A session's name and phase. */
interface IState {
  name: string;
  phase: Phase;
}

/** The announcement for one session. */
function sentence({ name, phase }: IState, trans: TranslationBundle): string {
  const sentences: Record<Phase, string> = {
    waiting: trans.__('%1 is waiting.', name),
    starting: trans.__('%1 is starting.', name),
    running: trans.__('%1 is running.', name),
    degraded: trans.__('%1 is running, degraded.', name),
    suspended: trans.__('%1 is suspended.', name),
    stopping: trans.__('%1 is terminating.', name),
    failed: trans.__('%1 has failed.', name),
    ended: trans.__('%1 has ended.', name),
    unknown: trans.__('%1 has changed.', name)
  };
  return sentences[phase];
}

/** The announcement for several sessions in one phase. */
function count(phase: Phase, n: number, trans: TranslationBundle): string {
  const counts: Record<Phase, string> = {
    waiting: trans.__('Waiting: %1.', n),
    starting: trans.__('Starting: %1.', n),
    running: trans.__('Running: %1.', n),
    degraded: trans.__('Running, degraded: %1.', n),
    suspended: trans.__('Suspended: %1.', n),
    stopping: trans.__('Terminating: %1.', n),
    failed: trans.__('Failed: %1.', n),
    ended: trans.__('Ended: %1.', n),
    unknown: trans.__('Changed: %1.', n)
  };
  return counts[phase];
}

/** The announcement for changed sessions: by name, or counted if there are many. */
export function announcement(
  changed: readonly IState[],
  trans: TranslationBundle
): string {
  if (changed.length <= NAMED) {
    return changed.map(state => sentence(state, trans)).join(' ');
  }
  const counted = new Map<Phase, number>();
  changed.forEach(({ phase }) =>
    counted.set(phase, (counted.get(phase) ?? 0) + 1)
  );
  const parts = [...counted].map(([phase, n]) => count(phase, n, trans));
  const all = trans.__('%1 sessions have changed.', changed.length);
  return [all, ...parts].join(' ');
}

/** Announces changes of sessions, at most once a second; has no DOM. */
export class Announcer implements IDisposable {
  constructor(
    private readonly _model: Pick<
      ISessionsModel,
      'changed' | 'isLoaded' | 'populated' | 'live' | 'ended'
    >,
    private readonly _trans: TranslationBundle,
    private readonly _announce: (words: string) => void,
    private readonly _delay = DELAY_MS
  ) {
    _model.changed.connect(this._schedule, this);
    this._schedule();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    clearTimeout(this._timer);
    Signal.clearData(this);
  }

  private _schedule(): void {
    if (!this._timer && this._model.isLoaded) {
      // The first list is not announced
      const delay = this._known ? this._delay : 0;
      this._timer = setTimeout(() => this._announceChanges(), delay);
    }
  }

  private _announceChanges(): void {
    this._timer = undefined;
    const [before, now] = [this._known, this._states()];
    this._known = now;
    const changed = [...now].filter(
      ([key, { phase }]) => before?.get(key)?.phase !== phase
    );
    // Sessions first seen after their end are not announced
    const news = changed.filter(
      ([key, { phase }]) => phase !== 'ended' || before?.has(key)
    );
    if (before && news.length > 0) {
      const states = news.map(([, state]) => state);
      this._announce(announcement(states, this._trans));
    }
  }

  private _states(): Map<string, IState> {
    const { ended, populated } = this._model;
    const live = populated.flatMap(backend => this._model.live(backend));
    const rows = [...ended, ...live];
    return new Map(
      rows.map(row => [
        keyOf(row),
        { name: row.name, phase: phaseOf(row.status) }
      ])
    );
  }

  private _known: Map<string, IState> | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _isDisposed = false;
}
