import type * as nbformat from '@jupyterlab/nbformat';

/** Code that ran in a session, as its journal has it. */
export interface IExecution {
  number: number;

  /** The id of the request's message. */
  id: string;

  code: string;

  /** `unknown` when its end was not seen. */
  status: 'running' | 'ok' | 'error' | 'unknown';

  started: string;
  ended: string | null;
  execution_count: number | null;
  outputs: nbformat.IOutput[];
}

/** The journal of a session, or a part of it; the oldest first. */
export interface IOutputs {
  executions: IExecution[];
  gaps: { since: string; until: string }[];
}

/** Which executions: all, or the one of a number; `heads` have no outputs. */
export interface ISelection {
  number?: number;
  heads?: boolean;
}

/** What has to be known of a cell to find what it missed. */
export interface ICellState {
  id: string;
  code: string;
  executionCount: number | null;
  outputs: nbformat.IOutput[];

  /** Whether this page itself is running it, and so shows its output. */
  isBusy: boolean;
}
