import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { SessionsApi } from '../src/api';
import { BackendForm } from '../src/form/backend';
import { SignInForm } from '../src/form/signin';
import { SessionsModel } from '../src/model';
import type { ISignInMethod } from '../src/types';
import { backend, FakeFeed, FakeServer, session, settle } from './helpers';

const TOKEN: ISignInMethod = {
  name: 'token',
  label: 'Token',
  fields: [{ name: 'token', label: 'Token', secret: true, plain: true }]
};
const CERTIFICATE: ISignInMethod = {
  name: 'certificate',
  label: 'Certificate',
  fields: [{ name: 'certificate', label: 'Path', secret: false, plain: false }]
};
const LISTING = { epoch: 'e', rev: 0, sessions: [], errors: {} };
const BACKENDS = {
  default_backend: 'local',
  types: [
    { type: 'backendai', title: 'Backend.AI' },
    { type: 'skaha', title: 'Skaha' }
  ],
  backends: [backend()]
};

function made(answers: ConstructorParameters<typeof FakeServer>[0]) {
  const server = new FakeServer({
    'GET sessions': { body: LISTING },
    'GET backends': { body: BACKENDS },
    ...answers
  });
  const feed = new FakeFeed();
  const model = new SessionsModel(new SessionsApi(server.settings), feed);
  return { server, feed, model };
}

describe('signing in', () => {
  const route = 'POST backends/sky/sign-in';

  it('sends what the method asks for, and reads the backends again', async () => {
    const { server, model } = made({ [route]: { body: true } });
    const form = new SignInForm(model, 'sky', [TOKEN, CERTIFICATE]);
    form.set(TOKEN.fields[0], 'secret');
    form.setRemember(true);
    assert.equal(await form.submit(), true);
    const values = { token: 'secret' };
    assert.deepEqual(server.bodies[0], {
      method: 'token',
      values,
      remember: true
    });
    assert.deepEqual(server.asked, [route, 'GET sessions', 'GET backends']);
  });

  it('says what the backend says, and stays', async () => {
    const refusal = { message: 'Wrong password.', reason: 'Unauthorized' };
    const { model } = made({ [route]: { status: 401, body: refusal } });
    const form = new SignInForm(model, 'sky', [TOKEN]);
    form.set(TOKEN.fields[0], 'wrong');
    assert.equal(await form.submit(), null);
    assert.equal(form.refusal?.message, 'Wrong password.');
    assert.equal(form.value(TOKEN.fields[0]), 'wrong');
    assert.equal(form.isBusy, false);
    form.set(TOKEN.fields[0], 'other');
    assert.equal(form.refusal, null);
  });

  it('puts what is wrong with a field beside it', async () => {
    const refusal = {
      message: 'Token is missing.',
      hint: 'Give it.',
      field: 'token'
    };
    const { model } = made({ [route]: { status: 400, body: refusal } });
    const form = new SignInForm(model, 'sky', [TOKEN]);
    assert.equal(await form.submit(), null);
    assert.deepEqual(form.errors, { token: 'Token is missing. Give it.' });
    assert.equal(form.refusal, null);
  });

  it('forgets what was typed for another method, and at the end', () => {
    const { model } = made({});
    const form = new SignInForm(model, 'sky', [TOKEN, CERTIFICATE]);
    form.set(TOKEN.fields[0], 'secret');
    form.selectMethod('certificate');
    form.selectMethod('token');
    assert.equal(form.value(TOKEN.fields[0]), '');
    form.set(TOKEN.fields[0], 'secret');
    form.clear();
    assert.equal(form.value(TOKEN.fields[0]), '');
  });
});

describe('adding a backend', () => {
  it('proposes a name until a person gives one', () => {
    const { model } = made({});
    const form = new BackendForm(model, BACKENDS.types);
    form.setUrl('https://cluster.example.org/api');
    assert.equal(form.name, 'cluster');
    form.setUrl('http://127.0.0.1:8090');
    assert.equal(form.name, '');
    form.setName('lab');
    form.setUrl('https://other.example.org');
    assert.equal(form.name, 'lab');
  });

  it('answers what is at the address', async () => {
    const found = { name: 'lab', found: 'Skaha, API v1' };
    const { server, model } = made({ 'POST backends': { body: found } });
    const form = new BackendForm(model, BACKENDS.types);
    form.setType('skaha');
    form.setUrl(' https://lab/skaha ');
    assert.deepEqual(await form.submit(), found);
    assert.deepEqual(server.bodies[0], {
      name: 'lab',
      type: 'skaha',
      url: 'https://lab/skaha'
    });
    assert.deepEqual(
      model.types.map(({ type }) => type),
      ['backendai', 'skaha']
    );
  });
});

describe('backends that change', () => {
  it('are read again when the server says so, if somebody looks', async () => {
    const { server, feed, model } = made({});
    const changes = [{ op: 'backend', backend: 'sky' } as const];
    await model.resync();
    feed.pushed.emit({ epoch: 'e', rev: 1, changes });
    await settle();
    assert.deepEqual(server.asked, ['GET sessions']);
    await model.loadBackends();
    feed.pushed.emit({ epoch: 'e', rev: 2, changes });
    await settle();
    assert.deepEqual(server.asked.slice(2), [
      'GET sessions?since=2&epoch=e',
      'GET backends'
    ]);
  });

  it('keep the rows of one that lets nobody in', async () => {
    const expiry = { at: '2026-11-21T00:00:00Z', renew: 'x', title: 'Sky' };
    const body = {
      ...LISTING,
      sessions: [session('demo', { backend: 'sky' })],
      errors: { sky: 'The token has expired.' },
      expiries: { sky: expiry }
    };
    const { model } = made({ 'GET sessions': { body } });
    await model.resync();
    assert.deepEqual(
      model.live('sky').map(row => row.id),
      ['demo']
    );
    assert.equal(model.errors.sky, 'The token has expired.');
    assert.deepEqual(model.expiries, { sky: expiry });
  });
});
