"""FastAPI: our WebSocket by its annotation, the guards as dependencies.

longwire serve examples.frameworks.fastapi_app:app
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, WebSocketDisconnect
from fastapi.responses import FileResponse

from longwire.toolkit import Token, from_header, from_query, one_of
from longwire.toolkit.fastapi import WebSocket, same_origin

token = Token(one_of(ada="token-of-ada", bob="token-of-bob"), from_header(), from_query())
User = Annotated[str, Depends(token)]

app = FastAPI()


@app.get("/")
def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("page.html"))


# The token first: it is then out of the query before the origin is refused, and that is logged.
@app.websocket("/ws/{room}", dependencies=[Depends(token), Depends(same_origin)])
async def talk(websocket: WebSocket, room: str, user: User) -> None:
    await websocket.accept()
    try:
        while True:
            text = await websocket.receive_text()
            await websocket.send_text(f"{user} in {room}: {text}")
    except WebSocketDisconnect as error:
        print(f"{user} left {room} with {error.code} {error.reason!r}")
