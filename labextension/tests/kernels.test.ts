import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { KernelSpec } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

import { SessionsApi } from '../src/api';
import { KernelForm } from '../src/form/kernel';
import {
  isNameOfSession,
  KernelsModel,
  nameFor,
  sessionOfName,
  titleFor
} from '../src/kernels';
import { FakeServer } from './helpers';

type Metadata = Record<string, unknown>;

function spec(name: string, metadata: Metadata = {}): KernelSpec.ISpecModel {
  const shown = { display_name: `The ${name}`, language: 'python' };
  return { name, ...shown, metadata } as unknown as KernelSpec.ISpecModel;
}

function ours(name: string, config: object, more: Metadata = {}): unknown {
  const provisioner = { provisioner_name: 'jupyter-sessions', config };
  return spec(name, { kernel_provisioner: provisioner, ...more });
}

const ends = { jupyter_sessions: { ends_with_session: true } };

/** The application's list of kernelspecs, which counts how often it is refreshed. */
class FakeSpecs {
  readonly specsChanged = new Signal<this, KernelSpec.ISpecModels>(this);
  refreshed = 0;
  specs = { default: 'python3', kernelspecs: {} };

  constructor(...specs: unknown[]) {
    const named = (specs as KernelSpec.ISpecModel[]).map(s => [s.name, s]);
    this.specs.kernelspecs = Object.fromEntries(named);
  }

  async refreshSpecs(): Promise<void> {
    this.refreshed++;
  }
}

function model(server: FakeServer, specs: FakeSpecs): KernelsModel {
  const manager = specs as unknown as KernelSpec.IManager;
  return new KernelsModel(new SessionsApi(server.settings), manager);
}

describe('the name of a kernel that a notebook keeps', () => {
  it('says in which session it ran, of the backend with the longest name', () => {
    const backends = ['local', 'My Lab', 'my', 'local-2'];
    const found = [
      'session-local-1f-2',
      'session-my-lab-x',
      'session-local-2-y'
    ]
      .map(name => sessionOfName(name, backends))
      .map(ref => [ref?.backend, ref?.id]);
    assert.deepEqual(found, [
      ['local', '1f-2'],
      ['My Lab', 'x'],
      ['local-2', 'y']
    ]);
  });

  it('says nothing if no such backend is known, or it is of another kind', () => {
    assert.equal(sessionOfName('session-away-1', ['local']), null);
    assert.equal(isNameOfSession('session-away-1'), true);
    assert.equal(isNameOfSession('python3'), false);
  });
});

describe('the kernels of a server', () => {
  const specs = new FakeSpecs(
    spec('python3'),
    spec('odd', { kernel_provisioner: { provisioner_name: 'other' } }),
    ours('small', { image: 'python3', resources: { cpu: '1' } }),
    ours('b-demo', { session: 'local/demo' }),
    ours('temporary', { session: 'local/id' }, ends)
  );

  it('that people made on sessions are shown by title', () => {
    const { saved } = model(new FakeServer({}), specs);
    assert.deepEqual(
      saved.map(kernel => [kernel.title, kernel.session ?? kernel.image]),
      [
        ['The b-demo', 'local/demo'],
        ['The small', 'python3']
      ]
    );
  });

  it('have the one that joins a session at once', async () => {
    const server = new FakeServer({
      'POST kernelspecs': { status: 201, body: { name: 'session-local-a' } }
    });
    const known = new FakeSpecs();
    const kernels = model(server, known);
    const name = await kernels.attach({ backend: 'local', id: 'a' });
    assert.equal(name, 'session-local-a');
    assert.deepEqual(server.bodies, [{ session: 'local/a' }]);
    assert.equal(known.refreshed, 1);
  });
});

describe('a kernel nobody named', () => {
  it('is called by what it has', () => {
    const title = titleFor('registry/python:3.11', { cpu: '1', mem: '512m' });
    assert.equal(title, 'Python 3.11 · 1 CPU · 512 MiB');
    assert.equal(nameFor(title), 'python-3-11-1-cpu-512-mib');
    assert.equal(titleFor('python3'), 'Python 3');
  });
});

describe('the form', () => {
  const source = { backend: 'local', image: 'ir', resources: { cpu: '2' } };

  it('lets the name follow the title until it was given', async () => {
    const asked: unknown[] = [];
    const form = new KernelForm(
      { add: async request => (asked.push(request), 'made') },
      source
    );
    form.setTitle('Big R');
    assert.equal(form.name, 'big-r');
    form.setName('mine');
    form.setTitle(' Big R, again ');
    assert.equal(form.name, 'mine');
    assert.equal(await form.submit(), 'made');
    const named = { name: 'mine', display_name: 'Big R, again' };
    assert.deepEqual(asked, [{ ...source, ...named }]);
  });

  it('says what the server refuses beside the field, until that is changed', async () => {
    const body = {
      message: "It's taken.",
      hint: 'Another.',
      field: 'name'
    };
    const server = new FakeServer({
      'POST kernelspecs': { status: 409, body }
    });
    const form = new KernelForm(model(server, new FakeSpecs()), source);
    assert.equal(await form.submit(), null);
    assert.deepEqual(form.errors, { name: "It's taken. Another." });
    assert.equal(form.isBusy, false);
    form.setName('other');
    assert.deepEqual(form.errors, {});
  });

  it('says what is about no field, too', async () => {
    const body = { message: 'No room.', field: 'image' };
    const server = new FakeServer({
      'POST kernelspecs': { status: 500, body }
    });
    const form = new KernelForm(model(server, new FakeSpecs()), source);
    assert.equal(await form.submit(), null);
    assert.equal(form.refusal?.message, 'No room.');
  });
});
