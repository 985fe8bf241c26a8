// Browsers start no worker for a page that is opened from a disk: there, a hidden frame does the search.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.body.appendChild(Object.assign(document.createElement("iframe"), { hidden: true }))
      this.inside = frame.contentWindow
      const load = src => new Promise((done, failed) => {
        const script = frame.contentDocument.createElement("script")
        frame.contentDocument.body.append(Object.assign(script, { src, onload: done, onerror: failed }))
      })
      this.inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      this.inside.importScripts = (...urls) => urls.reduce((last, next) => last.then(() => load(next)), Promise.resolve())
      this.ready = load(url)
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })))
    }
  }
}
