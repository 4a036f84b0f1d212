# Corrected: our command's name, where it said uvicorn.
longwire serve ws_app:application
