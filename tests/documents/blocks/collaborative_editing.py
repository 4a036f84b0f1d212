from longwire import WebSocket
from tests.documents.mailboxes import post
from tests.documents.stand_ins import apply_operation


class DocumentManager:
    def __init__(self):
        self.documents = {}
        self.connections = {}

    async def join_document(self, websocket: WebSocket, doc_id: str, user_id: str):
        if doc_id not in self.documents:
            self.documents[doc_id] = {"content": "", "version": 0}

        if doc_id not in self.connections:
            self.connections[doc_id] = {}

        self.connections[doc_id][user_id] = websocket

        # Send current document state
        await websocket.send_json({
            "type": "document_state",
            "content": self.documents[doc_id]["content"],
            "version": self.documents[doc_id]["version"]
        })

        # Notify other users
        await self.broadcast_to_document(doc_id, {
            "type": "user_joined",
            "user_id": user_id
        }, exclude=user_id)

    async def handle_edit(self, doc_id: str, user_id: str, operation: dict):
        # Apply operation to document
        self.documents[doc_id]["content"] = apply_operation(
            self.documents[doc_id]["content"],
            operation
        )
        self.documents[doc_id]["version"] += 1

        # Broadcast change to other users
        await self.broadcast_to_document(doc_id, {
            "type": "document_change",
            "operation": operation,
            "user_id": user_id,
            "version": self.documents[doc_id]["version"]
        }, exclude=user_id)

    async def broadcast_to_document(self, doc_id: str, message: dict, exclude: str = None):
        if doc_id in self.connections:
            # Corrected: a copy is walked, as the dict changes below.
            for user_id, websocket in list(self.connections[doc_id].items()):
                if user_id != exclude:
                    try:
                        # Corrected: posted; awaiting each in turn, one slow peer stops all.
                        post(websocket, message)
                    except:
                        # Remove broken connection
                        del self.connections[doc_id][user_id]
