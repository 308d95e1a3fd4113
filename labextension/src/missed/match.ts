import type * as nbformat from '@jupyterlab/nbformat';
import { JSONExt, type JSONValue } from '@lumino/coreutils';

import type { IExecution } from '../types';

/** How far the clocks of file system and manager may differ. */
const TOLERANCE_MS = 2000;

/** The journal's error for code whose kernel has ended; cells need not show it. */
const KERNEL_GONE = 'SessionEnded';

/** The state of a cell that is needed to find its missed output. */
export interface ICellState {
  id: string;
  code: string;
  executionCount: number | null;
  outputs: nbformat.IOutput[];

  /** Whether this page runs the cell, and so shows its output. */
  isBusy: boolean;
}

/** An execution and its cell. */
export interface IMatch {
  cell: ICellState;
  execution: IExecution;
}

/** The outputs of an execution as in a notebook. */
export function outputsOf(execution: IExecution): nbformat.IOutput[] {
  return execution.outputs as nbformat.IOutput[];
}

/** Whether an execution ran, or still runs, after a moment (milliseconds). */
export function isAfter(execution: IExecution, moment: number): boolean {
  return (
    execution.ended === null ||
    Date.parse(execution.ended) > moment - TOLERANCE_MS
  );
}

/**
 * Assign executions to cells.
 *
 * Messages on iopub do not name the cell. So the code decides, among cells with
 * the same code the execution count, and then the order.
 */
export function match(
  cells: readonly ICellState[],
  executions: readonly IExecution[]
): IMatch[] {
  const codes = new Set(cells.map(cell => cell.code));
  return [...codes].flatMap(code =>
    matchAlike(
      cells.filter(cell => cell.code === code && !cell.isBusy),
      executions.filter(execution => execution.code === code)
    )
  );
}

function matchAlike(cells: ICellState[], executions: IExecution[]): IMatch[] {
  if (cells.length < 2) {
    return cells.flatMap(cell =>
      executions.slice(-1).map(execution => ({ cell, execution }))
    );
  }
  const newestFirst = [...executions].reverse();
  const sure = cells.flatMap(cell => {
    const execution = newestFirst.find(
      ({ execution_count: count }) =>
        count !== null && count === cell.executionCount
    );
    return execution ? [{ cell, execution }] : [];
  });
  const rest = executions.filter(one => !sure.some(m => m.execution === one));
  const others = cells.filter(cell => !sure.some(m => m.cell === cell));
  // A cell that was running when the notebook was saved has no count
  const open = others.filter(cell => cell.executionCount === null);
  const likely = [...open, ...others.filter(cell => !open.includes(cell))];
  const newest = likely.length ? rest.slice(-likely.length) : [];
  return [
    ...sure,
    ...newest.map((execution, place) => ({ cell: likely[place], execution }))
  ];
}

/** Whether an execution has output that its cell does not show, or still runs. */
export function isMissed({ cell, execution }: IMatch): boolean {
  return execution.status === 'running' || !shows(cell, execution);
}

function shows(cell: ICellState, execution: IExecution): boolean {
  const outputs = outputsOf(execution);
  return (
    ['stdout', 'stderr'].every(name =>
      streamOf(cell.outputs, name).includes(streamOf(outputs, name))
    ) &&
    richOf(outputs).every(output =>
      richOf(cell.outputs).some(shown => JSONExt.deepEqual(shown, output))
    )
  );
}

function joined(text: nbformat.MultilineString): string {
  return Array.isArray(text) ? text.join('') : text;
}

function streamOf(outputs: nbformat.IOutput[], name: string): string {
  return outputs
    .filter(output => output.name === name)
    .map(output => joined(output.text as nbformat.MultilineString))
    .join('');
}

/** The outputs other than text of streams, reduced to their identity. */
function richOf(outputs: nbformat.IOutput[]): JSONValue[] {
  return outputs
    .filter(output => output.output_type !== 'stream')
    .filter(output => output.ename !== KERNEL_GONE)
    .map(({ ename, evalue, data }) =>
      data ? (data as JSONValue) : [`${ename}`, `${evalue}`]
    );
}
