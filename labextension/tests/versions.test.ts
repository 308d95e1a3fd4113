import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { SessionsApi } from '../src/api';
import { SessionsModel } from '../src/model';
import { VERSION } from '../src/version';
import { wordsForVersions } from '../src/errormessages';
import { FakeFeed, FakeServer, trans } from './helpers';

function said(page: string, version: string, installed: string): string {
  const about = { version, installed, protocol: 1 };
  return wordsForVersions(page, about, trans)?.hint ?? '';
}

test('the version of the page is that of the package', () => {
  assert.equal(
    JSON.parse(readFileSync('package.json', 'utf8')).version,
    VERSION
  );
});

test('a page and a server of one version have nothing to say', () => {
  assert.equal(said('0.2.0', '0.2.0', '0.2.0'), '');
  assert.equal(wordsForVersions('0.2.0', null, trans), null);
});

test('an old page of a server that was upgraded is to be reloaded', () => {
  assert.match(said('0.1.0', '0.2.0', '0.2.0'), /^Reload the page/);
});

test('a server that runs on after an upgrade is to be restarted', () => {
  assert.match(said('0.1.0', '0.1.0', '0.2.0'), /^Restart Jupyter/);
  assert.match(said('0.2.0', '0.1.0', '0.2.0'), /^Restart Jupyter/);
});

test('notices come with the list, and taking over asks for both again', async () => {
  const notice = {
    message: 'Still of version 0.0.9.',
    hint: '',
    take_over: true
  };
  const list = { epoch: 'e', rev: 1, sessions: [], errors: {}, expiries: {} };
  const server = new FakeServer({
    'GET sessions': { body: { ...list, notices: { local: notice } } },
    'GET backends': { body: { backends: [] } },
    'POST backends/local/takeover': { body: {}, status: 200 }
  });
  const model = new SessionsModel(
    new SessionsApi(server.settings),
    new FakeFeed()
  );
  await model.resync();
  assert.deepEqual(model.notices, { local: notice });
  server.answers['GET sessions'].body = { ...list, notices: {} };
  await model.takeOver('local');
  assert.deepEqual(model.notices, {});
  assert.equal(server.asked[1], 'POST backends/local/takeover');
});
