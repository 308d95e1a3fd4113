import type { Cell, CodeCell, ICodeCellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { KernelMessage } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { isOpenElsewhere, whenAlone } from '../collaborators';
import type { ISessionRef } from '../vocabulary';
import { fill } from './fill';
import { Follower } from './follow';
import { type IMatch, isAfter, isMissed, match } from './match';
import type { IOutputsSource } from './source';
import type { IExecution } from '../types';
import type { ICellState } from './match';

/** The longest time until another page has shared the end of a cell. */
const SHARED_MS = 2000;

function isCode(cell: Cell): boolean {
  return cell.model.type === 'code';
}

function modelOf(cell: Cell): ICodeCellModel {
  return cell.model as ICodeCellModel;
}

/** Whether a cell is shown as running, but not run by this page. */
function runsElsewhere(cell: Cell): boolean {
  const future = isCode(cell) && (cell as CodeCell).outputArea.future;
  return (
    isCode(cell) &&
    modelOf(cell).executionState === 'running' &&
    (!future || future.isDisposed)
  );
}

function codeOf(cell: Cell): string {
  return cell.model.sharedModel.getSource();
}

/** Mark cells as ended that no page runs any more and that miss no output. */
function settle(cells: Cell[], found: IMatch[]): void {
  for (const model of cells.map(modelOf)) {
    const ended = found.find(({ cell }) => cell.id === model.id)?.execution;
    model.executionCount = ended?.execution_count ?? null;
    model.executionState = 'idle';
  }
}

/** The output of a notebook's session that the notebook does not show. */
export class NotebookOutputs implements IDisposable {
  constructor(
    private readonly _panel: NotebookPanel,
    private readonly _source: IOutputsSource
  ) {
    const { sessionContext } = _panel;
    sessionContext.iopubMessage.connect(this._onIopub, this);
    sessionContext.kernelChanged.connect(this._stopFollowing, this);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** When the notebook was last saved before it was opened. */
  get saved(): number {
    this._saved ??= Date.parse(
      this._panel.context.contentsModel?.last_modified ?? ''
    );
    return this._saved;
  }

  /** Whether there are cells shown as running that this page neither runs nor follows. */
  get hasAbandoned(): boolean {
    return this._abandoned().length > 0;
  }

  /**
   * Find output that was printed since a moment and is not shown.
   *
   * With jupyter-collaboration a cell's state is shared, and stays "running"
   * after the page that ran the cell is closed. For such cells, missed output of
   * any time is found.
   */
  async find(moment: number): Promise<IMatch[]> {
    const kernel = this._panel.sessionContext.session?.kernel;
    const session = kernel ? await this._source.sessionOf(kernel.id) : null;
    if (!session) {
      return [];
    }
    this._session = session;
    const before = this._abandoned();
    const isShared = isOpenElsewhere(this._panel.model?.sharedModel);
    if (before.length > 0 && isShared) {
      // Another page may be about to share the end of a cell
      await new Promise(resolve => setTimeout(resolve, SHARED_MS));
    }
    const { executions } = await this._source.outputs(session, { heads: true });
    const isFree = executions.every(({ status }) => status !== 'running');
    // While code runs, another open page may be showing its output
    const abandoned =
      isFree || !isShared
        ? this._abandoned().filter(cell => before.includes(cell))
        : [];
    const codes = isFree ? abandoned.map(codeOf) : [];
    const later = executions.filter(
      execution => isAfter(execution, moment) || codes.includes(execution.code)
    );
    const matches = match(this._cellStates(abandoned), later);
    const whole = await Promise.all(matches.map(one => this._withOutputs(one)));
    const found = whole.filter(one => one !== null);
    const missed = found.filter(isMissed);
    if (isFree) {
      const open = missed.map(({ cell }) => cell.id);
      settle(
        abandoned.filter(({ model }) => !open.includes(model.id)),
        found
      );
    }
    return missed;
  }

  /** Insert missed output, and follow executions that still run. */
  insert(matches: readonly IMatch[]): void {
    for (const { cell, execution } of matches) {
      const there = this._findCell(cell.id);
      const isBusy = there && modelOf(there).executionState === 'running';
      if (!there || (isBusy && !this._abandoned().includes(there))) {
        continue;
      }
      fill(modelOf(there), execution);
      if (execution.status === 'running') {
        this._follow(there, execution);
      }
    }
  }

  /** Stop following a cell that is run again. */
  release(cell: Cell): void {
    this._followers.get(cell.model.id)?.follower.dispose();
  }

  dispose(): void {
    this._isDisposed = true;
    Signal.clearData(this);
    this._stopFollowing();
  }

  private _abandoned(): Cell[] {
    return this._panel.content.widgets
      .filter(runsElsewhere)
      .filter(({ model }) => !this._followers.has(model.id));
  }

  private _cellStates(abandoned: Cell[]): ICellState[] {
    return this._panel.content.widgets.filter(isCode).map(cell => {
      const model = modelOf(cell);
      return {
        id: model.id,
        code: codeOf(cell),
        executionCount: model.executionCount,
        outputs: model.outputs.toJSON(),
        isBusy: model.executionState === 'running' && !abandoned.includes(cell)
      };
    });
  }

  private _findCell(id: string): Cell | undefined {
    return this._panel.content.widgets.find(cell => cell.model.id === id);
  }

  private async _withOutputs({
    cell,
    execution
  }: IMatch): Promise<IMatch | null> {
    const now = this._session && (await this._fetch(this._session, execution));
    return now ? { cell, execution: now } : null;
  }

  private async _fetch(
    session: ISessionRef,
    { number }: IExecution
  ): Promise<IExecution | null> {
    const { executions } = await this._source.outputs(session, { number });
    return executions[0] ?? null;
  }

  private _follow(cell: Cell, execution: IExecution): void {
    const session = this._session!;
    const model = modelOf(cell);
    const follower = new Follower({
      load: () => this._fetch(session, execution),
      show: now => {
        if (cell.isDisposed) {
          follower.dispose();
        } else {
          fill(model, now);
        }
      },
      done: () => this._followers.delete(model.id)
    });
    this._followers.set(model.id, { cell, id: execution.id, follower });
  }

  private _onIopub(
    _: unknown,
    { parent_header }: KernelMessage.IMessage
  ): void {
    for (const { id, follower } of this._followers.values()) {
      if ('msg_id' in parent_header && parent_header.msg_id === id) {
        follower.hint();
      }
    }
  }

  private _stopFollowing(): void {
    for (const { cell, follower } of [...this._followers.values()]) {
      follower.dispose();
      if (!cell.isDisposed) {
        modelOf(cell).executionState = 'idle';
      }
    }
  }

  private readonly _followers = new Map<
    string,
    { cell: Cell; id: string; follower: Follower }
  >();
  private _session: ISessionRef | null = null;
  private _saved: number | undefined;
  private _isDisposed = false;
}

/**
 * Call a function when a notebook has got a kernel, and when it has reconnected.
 *
 * It does not wait for the first connection, which for a busy kernel takes a
 * minute (jupyter_server 2.21, `kernel_info_timeout`).
 */
export function whenThere(
  panel: NotebookPanel,
  callback: (lost: number | null) => void
): void {
  const { sessionContext } = panel;
  let lost: number | null = null;
  let known: string | undefined;
  let isConnected = false;
  const look = (): void => {
    const id = sessionContext.session?.kernel?.id;
    if (id && id !== known) {
      [known, lost] = [id, null];
      callback(null);
    }
  };
  sessionContext.kernelChanged.connect(look);
  sessionContext.connectionStatusChanged.connect((_, status) => {
    if (status !== 'connected') {
      lost ??= isConnected ? Date.now() : null;
    } else if (lost !== null) {
      callback(lost);
      lost = null;
    }
    isConnected = status === 'connected';
  });
  look();
}

/**
 * Call a function when cells may have been abandoned: the other pages with the
 * notebook are closed, or the kernel is idle.
 */
export function whenAbandoned(
  panel: NotebookPanel,
  outputs: NotebookOutputs,
  callback: () => void
): IDisposable {
  const look = (): void => {
    if (outputs.hasAbandoned) {
      callback();
    }
  };
  panel.sessionContext.statusChanged.connect((_, status) => {
    if (status === 'idle') {
      look();
    }
  });
  return whenAlone(panel.model?.sharedModel, look);
}
