// An adapter of oidc-provider that keeps what it is given in a SQLite file, durable before anything is answered, as the
// gateway keeps the `jti` of each assertion. One transaction commits all that one turn of the event loop has gathered, so
// that a flush is shared as it is in the gateway. oidc-provider's own adapter forgets all but the last 1,000.

import { DatabaseSync } from 'node:sqlite'

const now = () => Math.floor(Date.now() / 1000)

export const storeIn = (path) => {
  const database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL')
  database.exec('CREATE TABLE kept (model TEXT, id TEXT, payload TEXT, expires INTEGER, PRIMARY KEY (model, id)) WITHOUT ROWID')
  const put = database.prepare('INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)')
  const get = database.prepare('SELECT payload FROM kept WHERE model = ? AND id = ? AND expires > ?')
  const drop = database.prepare('DELETE FROM kept WHERE model = ? AND id = ?')
  let waiting = []

  const commit = () => {
    const batch = waiting
    waiting = []
    try {
      database.exec('BEGIN IMMEDIATE')
      for (const { row } of batch) put.run(...row)
      database.exec('COMMIT')
    } catch (error) {
      for (const { reject } of batch) reject(error)
      return
    }
    for (const { resolve } of batch) resolve()
  }

  return class Store {
    constructor(model) {
      this.model = model
    }

    upsert(id, payload, expiresIn) {
      return new Promise((resolve, reject) => {
        if (!waiting.length) setImmediate(commit)
        waiting.push({ row: [this.model, id, JSON.stringify(payload), now() + expiresIn], resolve, reject })
      })
    }

    async find(id) {
      const found = get.get(this.model, id, now())
      return found && JSON.parse(found.payload)
    }

    async destroy(id) {
      drop.run(this.model, id)
    }
  }
}
