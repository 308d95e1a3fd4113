import type { Cell, CodeCell, ICodeCellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { KernelMessage } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { isOpenElsewhere, whenAlone } from '../others';
import type { ISessionRef } from '../vocabulary';
import { fill } from './fill';
import { Follower } from './follow';
import { type IMatch, isAfter, isMissed, match } from './match';
import type { IOutputsSource } from './source';
import type { IExecution } from '../types';
import type { ICellState } from './match';

/** How long a page that shows a cell's end takes, at most, to share it. */
const SHARED_MS = 2000;

function isCode(cell: Cell): boolean {
  return cell.model.type === 'code';
}

function modelOf(cell: Cell): ICodeCellModel {
  return cell.model as ICodeCellModel;
}

/** Whether a cell is shown as running although this page does not run it. */
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

/** Show the end of cells that nobody runs any more and that miss no output. */
function settle(cells: Cell[], found: IMatch[]): void {
  for (const model of cells.map(modelOf)) {
    const ended = found.find(({ cell }) => cell.id === model.id)?.execution;
    model.executionCount = ended?.execution_count ?? null;
    model.executionState = 'idle';
  }
}

/** What the session of a notebook printed that the notebook does not show. */
export class NotebookOutputs implements IDisposable {
  constructor(
    private readonly _panel: NotebookPanel,
    private readonly _source: IOutputsSource
  ) {
    const { sessionContext } = _panel;
    sessionContext.iopubMessage.connect(this._hear, this);
    sessionContext.kernelChanged.connect(this._stop, this);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** When the notebook was saved last, as it was when it was opened. */
  get saved(): number {
    this._saved ??= Date.parse(
      this._panel.context.contentsModel?.last_modified ?? ''
    );
    return this._saved;
  }

  /** Whether cells are shown as running that this page neither runs nor follows. */
  get hasAbandoned(): boolean {
    return this._abandoned().length > 0;
  }

  /**
   * What was printed since a moment and is not shown.
   *
   * With jupyter-collaboration a cell's state is shared, and stays "running"
   * when the page that ran the cell is closed. What such a cell has missed is
   * found whenever it was printed.
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
      // Another page may just now be sharing the end of what it runs
      await new Promise(resolve => setTimeout(resolve, SHARED_MS));
    }
    const { executions } = await this._source.outputs(session, { heads: true });
    const isFree = executions.every(({ status }) => status !== 'running');
    // While code runs, any other page that is open may be showing it
    const abandoned =
      isFree || !isShared
        ? this._abandoned().filter(cell => before.includes(cell))
        : [];
    const codes = isFree ? abandoned.map(codeOf) : [];
    const later = executions.filter(
      execution => isAfter(execution, moment) || codes.includes(execution.code)
    );
    const matches = match(this._cells(abandoned), later);
    const whole = await Promise.all(matches.map(one => this._whole(one)));
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

  /** Show it, and go on showing what still runs. */
  insert(matches: readonly IMatch[]): void {
    for (const { cell, execution } of matches) {
      const there = this._cell(cell.id);
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

  /** Leave a cell alone: it is run anew. */
  release(cell: Cell): void {
    this._followers.get(cell.model.id)?.follower.dispose();
  }

  dispose(): void {
    this._isDisposed = true;
    Signal.clearData(this);
    this._stop();
  }

  private _abandoned(): Cell[] {
    return this._panel.content.widgets
      .filter(runsElsewhere)
      .filter(({ model }) => !this._followers.has(model.id));
  }

  private _cells(abandoned: Cell[]): ICellState[] {
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

  private _cell(id: string): Cell | undefined {
    return this._panel.content.widgets.find(cell => cell.model.id === id);
  }

  private async _whole({ cell, execution }: IMatch): Promise<IMatch | null> {
    const now = this._session && (await this._load(this._session, execution));
    return now ? { cell, execution: now } : null;
  }

  private async _load(
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
      load: () => this._load(session, execution),
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

  private _hear(_: unknown, { parent_header }: KernelMessage.IMessage): void {
    for (const { id, follower } of this._followers.values()) {
      if ('msg_id' in parent_header && parent_header.msg_id === id) {
        follower.hint();
      }
    }
  }

  private _stop(): void {
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
 * Calls back when a notebook has a kernel, and when it is connected again.
 *
 * The first connection is not waited for: a server lets one to a busy kernel
 * in after a minute (jupyter_server 2.21, `kernel_info_timeout`).
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
 * Calls back when cells may have been abandoned: whoever had the notebook open
 * has left, or the kernel is free.
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
