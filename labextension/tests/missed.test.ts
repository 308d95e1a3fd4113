import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';

import type * as nbformat from '@jupyterlab/nbformat';

import { SessionsApi } from '../src/api';
import { fill, type ICell, type IOutputsModel } from '../src/missed/fill';
import { Follower } from '../src/missed/follow';
import { type ICellState, isAfter, isMissed, match } from '../src/missed/match';
import { ServerOutputs } from '../src/missed/source';
import { SessionsModel } from '../src/model';
import type { IExecution } from '../src/types';
import { backend, FakeFeed, FakeServer } from './helpers';

function stream(text: string, name = 'stdout'): nbformat.IOutput {
  return { output_type: 'stream', name, text };
}

function display(data: nbformat.IMimeBundle): nbformat.IOutput {
  return { output_type: 'display_data', data, metadata: {} };
}

function cell(id: string, more: Partial<ICellState> = {}): ICellState {
  const known = { code: 'run()', executionCount: null, outputs: [] };
  return { id, ...known, isBusy: false, ...more };
}

function ran(number: number, more: Partial<IExecution> = {}): IExecution {
  return {
    number,
    id: `request-${number}`,
    code: 'run()',
    status: 'ok',
    started: '2026-01-01T12:00:00Z',
    ended: '2026-01-01T12:01:00Z',
    execution_count: number,
    outputs: [],
    ...more
  };
}

function pairs(cells: ICellState[], executions: IExecution[]): string[] {
  return match(cells, executions).map(
    one => `${one.cell.id}=${one.execution.number}`
  );
}

describe('which execution belongs to which cell', () => {
  it('is told by the code, and the newest counts', () => {
    const cells = [cell('a'), cell('b', { code: 'other()' })];
    const executions = [ran(1), ran(2), ran(3, { code: 'not here' })];
    assert.deepEqual(pairs(cells, executions), ['a=2']);
  });

  it('is told by the count among cells with the same code', () => {
    const cells = [cell('a', { executionCount: 4 }), cell('b'), cell('c')];
    assert.deepEqual(pairs(cells, [ran(4), ran(5)]), ['a=4', 'b=5']);
  });

  it('is told by the order when nothing else tells', () => {
    const cells = [cell('a', { executionCount: 1 }), cell('b'), cell('c')];
    const executions = [ran(6), ran(7), ran(8)];
    assert.deepEqual(pairs(cells, executions), ['b=6', 'c=7', 'a=8']);
    assert.deepEqual(pairs(cells, executions.slice(2)), ['b=8']);
  });

  it('is none for a cell that this page runs', () => {
    assert.deepEqual(pairs([cell('a', { isBusy: true })], [ran(1)]), []);
  });

  it('ended after the notebook was saved, or runs on', () => {
    const saved = Date.parse('2026-01-01T12:30:00Z');
    assert.equal(isAfter(ran(1), saved), false);
    assert.equal(isAfter(ran(1, { ended: null }), saved), true);
    assert.equal(
      isAfter(ran(1, { ended: '2026-01-01T12:30:01Z' }), saved),
      true
    );
  });
});

describe('what a cell missed', () => {
  const missed = (
    shown: nbformat.IOutput[],
    printed: nbformat.IOutput[],
    more: Partial<IExecution> = {}
  ): boolean =>
    isMissed({
      cell: cell('a', { outputs: shown }),
      execution: ran(1, { outputs: printed, ...more })
    });

  it('is nothing when it shows all', () => {
    const picture = display({ 'image/png': 'abc', 'text/plain': ['a', 'b'] });
    const all = [stream('one\ntwo\n'), picture];
    assert.equal(missed(all, all), false);
    assert.equal(missed([], []), false);
    const parts = [stream('one\n'), stream('w', 'stderr'), stream('two\n')];
    assert.equal(missed(parts, [stream('one\ntwo\n')]), false);
  });

  it('is text, a picture, an error', () => {
    assert.equal(missed([stream('one\n')], [stream('one\ntwo\n')]), true);
    assert.equal(missed([], [display({ 'image/png': 'abc' })]), true);
    const error = {
      output_type: 'error',
      ename: 'E',
      evalue: 'v',
      traceback: []
    };
    assert.equal(missed([], [error]), true);
    assert.equal(missed([], [{ ...error, ename: 'SessionEnded' }]), false);
  });

  it('is still to come while it runs', () => {
    assert.equal(missed([], [], { status: 'running' }), true);
  });
});

/** Joins text as JupyterLab's own does, which node cannot load. */
class Outputs implements IOutputsModel {
  readonly changes: string[] = [];

  constructor(private _list: nbformat.IOutput[]) {}

  toJSON(): nbformat.IOutput[] {
    return this._list.map(output => ({ ...output }));
  }

  add(output: nbformat.IOutput): number {
    this.changes.push('add');
    const last = this._list[this._list.length - 1];
    if (output.name && last?.name === output.name) {
      last.text = `${last.text}${output.text}`;
      return this._list.length;
    }
    return this._list.push({ ...output });
  }

  fromJSON(outputs: nbformat.IOutput[]): void {
    this.changes.push('all');
    this._list = outputs.map(output => ({ ...output }));
  }
}

describe('filling a cell', () => {
  function filled(
    outputs: nbformat.IOutput[] = []
  ): ICell & { outputs: Outputs } {
    return {
      trusted: true,
      executionCount: 3,
      executionState: 'idle',
      outputs: new Outputs(outputs)
    };
  }

  it('adds what is new and draws nothing again', () => {
    const one = filled([stream('a\n')]);
    const running = { status: 'running', ended: null } as const;
    fill(one, ran(9, { ...running, outputs: [stream('a\nb\n')] }));
    assert.deepEqual(
      [one.executionCount, one.executionState],
      [null, 'running']
    );
    const all = [stream('a\nb\nc'), stream('w', 'stderr'), stream('d')];
    fill(one, ran(9, { outputs: all }));
    fill(one, ran(9, { outputs: all }));
    assert.deepEqual(one.outputs.toJSON(), all);
    assert.deepEqual(one.outputs.changes, ['add', 'add', 'add', 'add']);
    assert.deepEqual([one.executionCount, one.executionState], [9, 'idle']);
  });

  it('replaces what has changed', () => {
    const one = filled([stream('50 %'), display({ 'text/plain': 'old' })]);
    const now = [stream('100 %'), display({ 'text/plain': 'new' })];
    fill(one, ran(1, { outputs: now }));
    assert.deepEqual(one.outputs.toJSON(), now);
    fill(one, ran(1, { outputs: [] }));
    assert.deepEqual(one.outputs.toJSON(), []);
  });

  it('trusts nothing that nobody has seen run', () => {
    const one = filled();
    fill(
      one,
      ran(1, { outputs: [stream('a'), display({ 'image/png': 'x' })] })
    );
    assert.equal(one.trusted, true);
    const script = display({ 'text/html': '<script>alert(1)</script>' });
    fill(one, ran(1, { outputs: [script] }));
    assert.equal(one.trusted, false);
    one.trusted = false;
    fill(one, ran(1, { outputs: [] }));
    assert.equal(one.trusted, false);
  });
});

describe('following', () => {
  /** Let a clock that the test moves go on, and what waits for it. */
  async function pass(ms: number): Promise<void> {
    mock.timers.tick(ms);
    await new Promise(resolve => setImmediate(resolve));
  }

  afterEach(() => mock.timers.reset());

  it('shows it until it ends, through failures', async () => {
    const answers: (IExecution | Error)[] = [
      ran(1, { status: 'running' }),
      new Error('the server is away'),
      ran(1, { status: 'running', outputs: [stream('a')] }),
      ran(1, { outputs: [stream('ab')] })
    ];
    const shown: string[] = [];
    let over = (): void => undefined;
    const ended = new Promise<void>(resolve => (over = resolve));
    const load = async (): Promise<IExecution> => {
      const next = answers.shift()!;
      if (next instanceof Error) {
        throw next;
      }
      return next;
    };
    const show = (one: IExecution): number => shown.push(one.status);
    const follower = new Follower({ load, show, done: () => over() }, 1, 5);
    await ended;
    follower.dispose();
    assert.deepEqual(shown, ['running', 'running', 'ok']);
    assert.equal(answers.length, 0);
  });

  it('asks as seldom as it may, however much is heard', async () => {
    mock.timers.enable({ apis: ['setTimeout', 'Date'] });
    let asked = 0;
    const follower = new Follower(
      {
        load: async () => {
          asked += 1;
          return ran(1, { status: 'running' });
        },
        show: () => undefined,
        done: () => undefined
      },
      40,
      10_000
    );
    for (let turn = 0; turn < 50; turn++) {
      follower.hint();
      await pass(2);
    }
    assert.equal(asked, 2);
    follower.dispose();
    const before = asked;
    follower.hint();
    await pass(60);
    assert.equal(asked, before);
  });
});

describe('what a session printed', () => {
  const row = { backend: 'local', id: 'a' };

  function source(capabilities: string[]): [FakeServer, ServerOutputs] {
    const server = new FakeServer({
      'GET kernels/k': { body: row },
      'GET backends': { body: { backends: [backend({ capabilities })] } }
    });
    const api = new SessionsApi(server.settings);
    const model = new SessionsModel(api, new FakeFeed());
    return [server, new ServerOutputs(api, model)];
  }

  it('is asked for where the backend keeps it', async () => {
    const [, kept] = source(['restart', 'outputs']);
    assert.deepEqual(await kept.sessionOf('k'), row);
  });

  it('is not asked for where the backend does not', async () => {
    const [server, none] = source(['restart']);
    assert.equal(await none.sessionOf('k'), null);
    assert.equal(await none.sessionOf('k'), null);
    const asked = ['GET kernels/k', 'GET backends', 'GET kernels/k'];
    assert.deepEqual(server.asked, asked);
  });
});
