"""Machinery that any company's services could run on; it knows no word of the business."""
