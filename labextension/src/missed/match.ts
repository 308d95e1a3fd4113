import type * as nbformat from '@jupyterlab/nbformat';
import { JSONExt, type JSONValue } from '@lumino/coreutils';

import type { IExecution } from '../types';

/** How much the clocks of file system and manager may differ. */
const TOLERANCE_MS = 2000;

/** What the journal says of code whose kernel ended; no cell need show it. */
const KERNEL_GONE = 'SessionEnded';

/** What has to be known of a cell to find what it missed. */
export interface ICellState {
  id: string;
  code: string;
  executionCount: number | null;
  outputs: nbformat.IOutput[];

  /** Whether this page itself is running it, and so shows its output. */
  isBusy: boolean;
}

/** An execution, and the cell that it belongs to. */
export interface IMatch {
  cell: ICellState;
  execution: IExecution;
}

/** What an execution printed, as a notebook keeps it. */
export function outputsOf(execution: IExecution): nbformat.IOutput[] {
  return execution.outputs as nbformat.IOutput[];
}

/** Whether it ran, or still runs, after a moment (milliseconds). */
export function isAfter(execution: IExecution, moment: number): boolean {
  return (
    execution.ended === null ||
    Date.parse(execution.ended) > moment - TOLERANCE_MS
  );
}

/**
 * Which execution belongs to which cell.
 *
 * iopub does not say from which cell code came, so the code tells; among cells
 * with the same code, the execution count does, and then their order.
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
  // What had not ended when the notebook was saved has no count
  const open = others.filter(cell => cell.executionCount === null);
  const likely = [...open, ...others.filter(cell => !open.includes(cell))];
  const newest = likely.length ? rest.slice(-likely.length) : [];
  return [
    ...sure,
    ...newest.map((execution, place) => ({ cell: likely[place], execution }))
  ];
}

/** Whether it printed something that the cell does not show, or still runs. */
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

/** What is no text of a stream, with what makes it what it is. */
function richOf(outputs: nbformat.IOutput[]): JSONValue[] {
  return outputs
    .filter(output => output.output_type !== 'stream')
    .filter(output => output.ename !== KERNEL_GONE)
    .map(({ ename, evalue, data }) =>
      data ? (data as JSONValue) : [`${ename}`, `${evalue}`]
    );
}
