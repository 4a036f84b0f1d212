// Two editors with npm's y-websocket that type, delete and disconnect at random, until told to stop.
//   node editors.mjs ws://127.0.0.1:8000 plan 7        commands on stdin, one JSON line out for each
import readline from 'node:readline'
import WebSocket from 'ws'
import * as Y from 'yjs'
import { WebsocketProvider } from 'y-websocket'

const [url, name, seed] = process.argv.slice(2)

// The same numbers for the same seed (mulberry32).
let state = Number(seed)
const random = () => {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
const upTo = (n) => Math.floor(random() * (n + 1))

const editors = [1, 2].map(() => {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(url, name, doc, {
    WebSocketPolyfill: WebSocket, disableBc: true, maxBackoffTime: 400
  })
  provider.closes = []
  provider.on('connection-close', (event) => event && provider.closes.push(event.code))
  provider.awareness.setLocalStateField('user', { name: `node ${doc.clientID}` })
  return { doc, provider, text: doc.getText('text') }
})

// As editors do: nobody deletes, or writes into, half of a character.
const isInside = (text, at) => /[\uDC00-\uDFFF]/.test(text.charAt(at))

const edit = ({ doc, provider, text }) => {
  const dice = random()
  if (dice < 0.01) provider.disconnect()
  else if (dice < 0.05) provider.connect()
  doc.transact(() => {
    const content = text.toString()
    let at = upTo(content.length)
    if (isInside(content, at)) at--
    let end = Math.min(at + upTo(3), content.length)
    if (isInside(content, end)) end++
    if (dice < 0.4) text.delete(at, end - at)
    else text.insert(at, ['x', 'yz', 'é', '😀', '\n'][upTo(4)])
  })
}

let edits = 0
const typing = setInterval(() => { editors.forEach(edit); edits += 2 }, 8)

for await (const command of readline.createInterface({ input: process.stdin })) {
  if (command === 'stop') {
    clearInterval(typing)
    editors.forEach(({ provider, text }, n) => { provider.connect(); text.insert(0, 'NM'[n]) })
  }
  if (command === 'end') break
  console.log(JSON.stringify({
    texts: editors.map(({ text }) => text.toString()),
    people: editors.map(({ provider }) => provider.awareness.getStates().size),
    closes: editors.flatMap(({ provider }) => provider.closes),
    edits
  }))
}
editors.forEach(({ provider }) => provider.destroy())
process.exit(0)
